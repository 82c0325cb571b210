import { TICKS_PER_SECOND } from '../../core/clock.ts'

/** Limits the frame rate by time stamps, with a tolerance of a tenth of an interval for uneven ones. */
export class FpsLimit {
  readonly #interval: number
  #nextPts = Number.NEGATIVE_INFINITY

  constructor(maxFps: number) {
    this.#interval = TICKS_PER_SECOND / maxFps
  }

  isTooFast(pts: number): boolean {
    if (pts < this.#nextPts - this.#interval / 10) return true
    this.#nextPts = Math.max(this.#nextPts + this.#interval, pts + this.#interval / 2)
    return false
  }
}
