import { INPUT_SLOTS } from '../ring/frame-layout.ts'

/** A burst of frames may wait this long in total before only the newest is taken. */
const BURST_MS = 60
/** Weight of the newest frame in the average. */
const WEIGHT = 0.2
/**
 * The first frames are slow: code is compiled, caches fill, and a decoder and an encoder start. For this long no frame
 * that the ring can hold is skipped; then, until the pipeline has caught up, for at most three times as long.
 */
const WARM_UP_MS = 1000
const CATCH_UP_MS = 3 * WARM_UP_MS

/** Measures how fast a pipeline takes frames, and so how many may wait without adding delay. */
export class ProcessingRate {
  #averageMs = Number.POSITIVE_INFINITY
  #firstAt: number | undefined
  #caughtUp = false

  /** The pipeline starts or restarts. */
  reset(): void {
    this.#averageMs = Number.POSITIVE_INFINITY
    this.#firstAt = undefined
    this.#caughtUp = false
  }

  /** No frame waits for it. */
  idle(now = performance.now()): void {
    if (this.#firstAt !== undefined && now - this.#firstAt >= WARM_UP_MS) this.#caughtUp = true
  }

  /** Call before a frame is given to the pipeline, and the returned function when it is ready for the next. */
  begin(began = performance.now()): (now?: number) => void {
    this.#firstAt ??= began
    return (now = performance.now()) => {
      const ms = now - began
      if (this.#isWarmingUp(now)) this.#averageMs = Math.min(ms, this.#averageMs)
      // The average follows a slow frame at once and a fast one gradually, so that a model that blocks now and then
      // counts as slow.
      else if (ms > this.#averageMs || this.#averageMs === Number.POSITIVE_INFINITY) this.#averageMs = ms
      else this.#averageMs += WEIGHT * (ms - this.#averageMs)
    }
  }

  /** Number of frames that it processes within a burst's time; 0 for a slow one. */
  backlog(now = performance.now()): number {
    return this.#isWarmingUp(now) ? INPUT_SLOTS : Math.floor(BURST_MS / this.#averageMs)
  }

  #isWarmingUp(now: number): boolean {
    return !this.#caughtUp && (this.#firstAt === undefined || now - this.#firstAt < CATCH_UP_MS)
  }
}
