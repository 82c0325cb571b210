import { nowMs, ticksToMs } from '../../core/clock.ts'

/** A shorter wait needs no buffer: a screen shows each frame about as long. */
const NEGLIGIBLE_MS = 25
const MAX_MS = 500
const WINDOW_MS = 1000
/** The needed delay is kept for this many windows, because a buffer that shrinks and grows is visible. */
const KEEP_WINDOWS = 10
/** Fewer bad windows than this are an accident; with bursts every window is bad. */
const BAD_WINDOWS = 4
/** This share of the frames may come later than the buffer covers. */
const LATE = 0.03

/**
 * Measures how unevenly frames leave, compared with their time stamps. A publisher that sends in bursts looks smooth
 * only with a viewer buffer as long as a burst; an even one needs no buffer.
 */
export class OutputJitter {
  readonly #recent: number[] = []
  #late: number[] = []
  #windowStart = Number.NEGATIVE_INFINITY
  /** The first window is skipped: frames are late at the start. */
  #warm = false

  /** A frame with this time leaves now. */
  add(pts: number, now = nowMs()): void {
    if (now - this.#windowStart > WINDOW_MS) {
      if (this.#warm && this.#late.length > 1) this.#recent.push(spread(this.#late))
      this.#warm = this.#late.length > 1
      if (this.#recent.length > KEEP_WINDOWS) this.#recent.shift()
      this.#late = []
      this.#windowStart = now
    }
    this.#late.push(now - ticksToMs(pts))
  }

  /** After an interruption the next frames are not measured. */
  restart(): void {
    this.#late = []
    this.#warm = false
    this.#windowStart = Number.NEGATIVE_INFINITY
  }

  /** How long viewers should buffer frames, in steps of 10 ms; 0 for an even stream. */
  get delayMs(): number {
    const needed = this.#recent.toSorted((a, b) => b - a)[BAD_WINDOWS - 1] ?? 0
    return needed < NEGLIGIBLE_MS ? 0 : Math.min(MAX_MS, Math.ceil(needed / 10) * 10)
  }
}

/** From the earliest frame to all but the latest few. */
function spread(late: number[]): number {
  const sorted = late.toSorted((a, b) => a - b)
  return sorted[Math.floor((sorted.length - 1) * (1 - LATE))]! - sorted[0]!
}
