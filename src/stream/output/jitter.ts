import { nowMs, ticksToMs } from '../../core/clock.ts'

/** A wait shorter than this is not worth a buffer: a screen shows a frame for as long anyway. */
const NEGLIGIBLE_MS = 25
const MAX_MS = 500
const WINDOW_MS = 1000
/** What was needed is kept for this long, since a buffer that shrinks and grows shows. */
const KEEP_WINDOWS = 10
/** Fewer bad windows than this are an accident; bursts are in every one. */
const BAD_WINDOWS = 4
/** This part of the frames may come later than the buffer covers. */
const LATE = 0.03

/**
 * Measures how unevenly frames leave, against their own time stamps: a publisher that sends in bursts is shown smoothly
 * only by a viewer who waits as long as a burst does, and one that is even needs no wait at all.
 */
export class OutputJitter {
  readonly #recent: number[] = []
  #late: number[] = []
  #windowStart = Number.NEGATIVE_INFINITY
  /** The first window is left out: what begins is late. */
  #warm = false

  /** A frame of this time leaves now. */
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

  /** Something began anew, and what leaves next says nothing. */
  restart(): void {
    this.#late = []
    this.#warm = false
    this.#windowStart = Number.NEGATIVE_INFINITY
  }

  /** How long viewers should hold frames back, in whole steps of 10 ms; 0 for an even stream. */
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
