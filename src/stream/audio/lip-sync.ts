import { nowMs, ticksToMs } from '../../core/clock.ts'
import type { EncodedPacket } from '../../core/media/packet.ts'

/** Video that is less late than this counts as in sync: viewers do not notice, and players compensate. */
const IN_STEP_MS = 40
/** Smaller changes are jitter of the pipeline and do not move the audio. */
const STEP_MS = 20
/** Number of frame delays remembered: half a second. */
const MEMORY = 15
/** Limit of frames in flight. */
const MAX_INSIDE = 512
/** A publisher without audio for this long counts as having none; its frames then give the time. */
const SILENT_MS = 1000
/** Twenty seconds of audio. Audio that a pipeline gives further ahead is dropped. */
const MAX_WAITING = 1000

/**
 * Delays audio as much as the pipeline delays video, so that both leave together, and holds back audio that a pipeline
 * gives ahead of its time. Without a delay audio leaves at once.
 */
export class LipSync {
  /** Packets dropped because they were too far ahead. */
  dropped = 0
  readonly #send: (packet: EncodedPacket) => void
  readonly #entered = new Map<number, number>()
  readonly #delays: number[] = []
  readonly #offsets: number[] = []
  #delayMs = 0
  /** For an output frame: the time it leaves, on the clock of `nowMs`, minus its own time. */
  #offsetMs = 0
  #waiting: EncodedPacket[] = []
  #newest: { pts: number; at: number } | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(send: (packet: EncodedPacket) => void) {
    this.#send = send
  }

  /** The current delay of audio, in milliseconds. */
  get delayMs(): number {
    return this.#delayMs
  }

  /** Call before a publisher's frame is given to the pipeline. */
  frameIn(pts: number, now = nowMs()): void {
    this.#entered.set(pts, now)
    if (this.#entered.size > MAX_INSIDE) this.#entered.delete(this.#entered.keys().next().value!)
    if (!this.#newest || now - this.#newest.at > SILENT_MS) this.#newest = { pts, at: now }
  }

  /** Call when the frame with this time leaves. */
  frameOut(pts: number, now = nowMs()): void {
    const entered = this.#entered.get(pts)
    if (entered === undefined) return
    this.#entered.delete(pts)
    remember(this.#delays, now - entered)
    remember(this.#offsets, now - ticksToMs(pts))
    const usual = median(this.#delays)
    const delayMs = usual > IN_STEP_MS ? usual : 0
    const offsetMs = median(this.#offsets)
    const steps = [delayMs - this.#delayMs, delayMs && offsetMs - this.#offsetMs].map(Math.abs)
    if (Math.max(...steps) <= STEP_MS && delayMs > 0 === this.#delayMs > 0) return
    this.#delayMs = delayMs
    this.#offsetMs = offsetMs
    this.#release(now)
  }

  /** Call when audio with this time arrives from the publisher. */
  audioIn(pts: number, now = nowMs()): void {
    if (!this.#newest || pts > this.#newest.pts || now - this.#newest.at > SILENT_MS) this.#newest = { pts, at: now }
  }

  /** Takes audio for output. */
  write(packet: EncodedPacket, now = nowMs()): void {
    if (this.#waiting.length === 0 && this.#dueAt(packet.pts) <= now) {
      this.#send(packet)
      return
    }
    if (this.#waiting.length >= MAX_WAITING) {
      this.dropped++
      return
    }
    this.#waiting.push(packet)
    this.#wait(now)
  }

  /** Outputs everything that waits. */
  flush(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    for (const packet of this.#waiting.splice(0)) this.#send(packet)
  }

  /**
   * When audio is due: with the video of its time, but no later after its arrival than video takes; future audio when
   * its time comes.
   */
  #dueAt(pts: number): number {
    const { pts: newest, at } = this.#newest ?? { pts, at: Number.NEGATIVE_INFINITY }
    const cameAt = at + ticksToMs(pts - newest)
    return this.#delayMs === 0 ? cameAt : Math.min(cameAt + this.#delayMs, ticksToMs(pts) + this.#offsetMs)
  }

  #release(now: number): void {
    while (this.#waiting[0] && this.#dueAt(this.#waiting[0].pts) <= now) this.#send(this.#waiting.shift()!)
    this.#wait(now)
  }

  #wait(now: number): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const [first] = this.#waiting
    if (!first) return
    this.#timer = setTimeout(() => this.#release(nowMs()), Math.max(0, this.#dueAt(first.pts) - now))
  }
}

function remember(values: number[], value: number): void {
  values.push(value)
  if (values.length > MEMORY) values.shift()
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!
}
