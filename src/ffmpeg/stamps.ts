import { TICKS_PER_SECOND } from '../core/clock.ts'

/** A packet's time in the stream and the number it has inside ffmpeg. */
type Entry = { inner: number; pts: number }

// A step in decoding order beyond these is a jump of the source's clock, not a frame's duration or its reordering.
const MAX_STEP_FORWARD = 10 * TICKS_PER_SECOND
const MAX_STEP_BACK = 2 * TICKS_PER_SECOND
const MARGIN = 2 * TICKS_PER_SECOND
const MAX_PENDING = 1024

/**
 * Keeps a stream's time exact through ffmpeg, which wants stamps that begin near zero, go on without jumps and stay
 * below 2^33. What goes in gets an inner stamp; what comes out is looked up by it.
 */
export class Stamps {
  readonly #increasing: boolean
  readonly #pending: Entry[] = []
  #offset: number | undefined
  #lastDts = 0
  #highest = -1

  /** `increasing`: each inner stamp is greater than the one before, even where the stream's time stands still. */
  constructor({ increasing = false }: { increasing?: boolean } = {}) {
    this.#increasing = increasing
  }

  /** Entered and not come out yet. */
  get pending(): number {
    return this.#pending.length
  }

  /** The stamp for ffmpeg, at least 0. `pts` and `dts` in 90 kHz ticks, `dts` in writing order. */
  enter(pts: number, dts = pts): number {
    const step = dts - this.#lastDts
    // Frames that lead a keyframe are shown before it, so there is room below the first stamp.
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
   * The time that belongs to a stamp ffmpeg gave back. Takes it, and what is shown before it: that was lost in ffmpeg.
   * `undefined` when nothing is pending.
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

  /** Forgets what is pending: it will not come out. */
  clear(): void {
    this.#pending.length = 0
  }
}
