import { TICKS_PER_SECOND } from '../core/clock.ts'

/** A packet's time in the stream, and its time stamp inside ffmpeg. */
type Entry = { inner: number; pts: number }

// A larger step in decoding order is a jump of the source's clock, not a frame's duration or reordering.
const MAX_STEP_FORWARD = 10 * TICKS_PER_SECOND
const MAX_STEP_BACK = 2 * TICKS_PER_SECOND
const MARGIN = 2 * TICKS_PER_SECOND
const MAX_PENDING = 1024

/**
 * Keeps a stream's time exact through ffmpeg, which needs time stamps that begin near zero, do not jump, and stay below
 * 2^33. Input gets an inner stamp; output is looked up by it.
 */
export class Stamps {
  readonly #increasing: boolean
  readonly #pending: Entry[] = []
  #offset: number | undefined
  #lastDts = 0
  #highest = -1

  /** `increasing`: each inner stamp exceeds the previous one, even if the stream's time stands still. */
  constructor({ increasing = false }: { increasing?: boolean } = {}) {
    this.#increasing = increasing
  }

  /** Number of packets that entered and have not come out. */
  get pending(): number {
    return this.#pending.length
  }

  /** The time stamp for ffmpeg, at least 0. `pts` and `dts` are in 90 kHz ticks, `dts` in writing order. */
  enter(pts: number, dts = pts): number {
    const step = dts - this.#lastDts
    // Leading frames are presented before their keyframe, so there is room below the first stamp.
    if (this.#offset === undefined) this.#offset = MARGIN - pts
    else if (step > MAX_STEP_FORWARD || step < -MAX_STEP_BACK) this.#offset = this.#highest + MARGIN - pts
    this.#lastDts = dts
    const inner = Math.max(this.#increasing ? this.#highest + 1 : 0, pts + this.#offset)
    this.#highest = Math.max(this.#highest, inner)
    this.#pending.push({ inner, pts })
    if (this.#pending.length > MAX_PENDING) this.#pending.shift()
    return inner
  }

  /**
   * The stream's time of a stamp that ffmpeg returned. Removes it, and earlier ones, which ffmpeg has lost. `undefined`
   * if nothing is pending.
   */
  leave(inner: number): number | undefined {
    let best: Entry | undefined
    for (const entry of this.#pending) {
      if (!best || Math.abs(entry.inner - inner) < Math.abs(best.inner - inner)) best = entry
    }
    if (!best) return undefined
    const taken = best.inner
    let kept = 0
    for (const entry of this.#pending) if (entry.inner > taken) this.#pending[kept++] = entry
    this.#pending.length = kept
    return best.pts
  }

  /** Forgets pending entries: they will not come out. */
  clear(): void {
    this.#pending.length = 0
  }
}
