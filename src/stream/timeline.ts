import { msToTicks, nowMs } from '../core/clock.ts'

/**
 * Places each publisher's time stamps on the stream's own clock. The first publisher's are kept as they are; one that
 * comes after something was already sent continues where the clock of the room says the frame should be.
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

  /** Remembers that the stream has reached this time. */
  reached(pts: number): void {
    if (!this.#newest || pts > this.#newest.pts) this.#newest = { pts, at: nowMs() }
  }

  /** The stream's time now, in ticks, by the newest frame and the time since. */
  now(): number {
    return this.#newest ? this.#newest.pts + msToTicks(nowMs() - this.#newest.at) : 0
  }

  get started(): boolean {
    return this.#newest !== undefined
  }
}
