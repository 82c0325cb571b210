import { nowMs } from '../core/clock.ts'
import type { ProcessorShare } from './processor-share.ts'

const TICK_MS = 250
/**
 * Shorter silence never counts as a hang. A frame usually takes milliseconds, but pages read back from a slow disk and
 * a GPU that changes its clock take tenths of a second, and replacing a child costs two tenths. A viewer sees the next
 * frame within two seconds.
 */
const SHORTEST_MS = 1000
/** A hanging GPU driver, or a stopped process, gives no output and does not exit. */
const LONGEST_MS = 2000
/** Number of recent results, of which the slowest counts as usual. */
const MEMORY = 64

export type HangWatchOptions = {
  /** Whether work was taken that would usually be done by now. */
  due(): boolean
  /** CPU time that the child got; `undefined` if the system does not report it. */
  share(): ProcessorShare | undefined
  onHung(silentMs: number): void
  /** Time limit of the first result, if each piece of work has one; default: none. */
  firstMs?: number
}

/**
 * Detects a child that takes work and gives no output for twice as long as the slowest of its recent results took, at
 * least one second and at most two. Only time counts in which this process ran and the child did not wait for the CPU:
 * with eight busy processes on two cores an encoder gave no output for 1.4 s, with twenty for 2.4 s, and a new one
 * would have been no better off. If the system does not report CPU waiting, the limit is two seconds.
 */
export class HangWatch {
  readonly #options: HangWatchOptions
  readonly #timer: NodeJS.Timeout
  readonly #waits: number[] = []
  #waitingSince: number | undefined
  /** Undefined until something has been due at a tick. */
  #silentMs: number | undefined
  #share: ProcessorShare | undefined

  constructor(options: HangWatchOptions) {
    this.#options = options
    this.#timer = setInterval(() => this.#tick(), TICK_MS)
  }

  /** The child was given work. */
  took(): void {
    this.#waitingSince ??= nowMs()
  }

  /** The child gave output; `more`: it has more work left. */
  gave(more: boolean): void {
    const now = nowMs()
    this.#waits.push(now - (this.#waitingSince ?? now))
    if (this.#waits.length > MEMORY) this.#waits.shift()
    this.#waitingSince = more ? now : undefined
    this.#silentMs = undefined
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  #tick(): void {
    const { due, share, onHung } = this.#options
    if (!due()) {
      this.#silentMs = undefined
      return
    }
    const before = this.#share
    this.#share = share()
    if (this.#silentMs === undefined) {
      this.#silentMs = 0
      return
    }
    if (before && this.#share && starved(before, this.#share)) return
    this.#silentMs += TICK_MS
    if (this.#silentMs < this.#patienceMs) return
    this.stop()
    onHung(this.#silentMs)
  }

  get #patienceMs(): number {
    if (this.#waits.length === 0) return this.#options.firstMs ?? Number.POSITIVE_INFINITY
    if (!this.#share) return LONGEST_MS
    return Math.min(LONGEST_MS, Math.max(SHORTEST_MS, 2 * Math.max(...this.#waits)))
  }
}

/** For most of the time between the two it was ready to run and had no CPU. */
function starved(before: ProcessorShare, after: ProcessorShare): boolean {
  if (after.waitedMs - before.waitedMs > TICK_MS / 2) return true
  return after.runnable && after.ranMs - before.ranMs < TICK_MS / 2
}
