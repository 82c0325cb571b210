import { msToTicks, nowMs } from '../core/clock.ts'

/**
 * Maps each publisher's time stamps to the stream's clock. The first publisher's are kept as they are; a later one
 * continues at the time that has passed since.
 */
export class Timeline {
  #offset = 0
  #newest: { pts: number; at: number } | undefined

  /** Must be called with the first time stamp of each publisher. */
  join(firstPts: number): void {
    this.#offset = this.#newest ? this.now() + 1 - firstPts : 0
  }

  /** From the publisher's clock to the stream's. */
  place(pts: number): number {
    return pts + this.#offset
  }

  /** Records that the stream has reached this time. */
  reached(pts: number): void {
    if (!this.#newest || pts > this.#newest.pts) this.#newest = { pts, at: nowMs() }
  }

  /** The stream's current time in ticks: the newest frame's time plus the time since. */
  now(): number {
    return this.#newest ? this.#newest.pts + msToTicks(nowMs() - this.#newest.at) : 0
  }

  get started(): boolean {
    return this.#newest !== undefined
  }
}
