/** Frames of a burst may wait for this long in all before the newest goes first. */
const BURST_MS = 60
/** Weight of the newest frame in the average. */
const WEIGHT = 0.2

/** How fast a pipeline takes frames, and so how many may wait for it without the frame falling behind. */
export class ProcessingRate {
  #averageMs = Number.POSITIVE_INFINITY

  /** Call before a frame is given to the pipeline, and the returned function when it is ready for the next. */
  begin(): () => void {
    const began = performance.now()
    return () => {
      const ms = performance.now() - began
      // A model that blocks now and then is judged by its slow frames at once, by its quick ones only gradually.
      this.#averageMs =
        ms > this.#averageMs || this.#averageMs === Number.POSITIVE_INFINITY
          ? ms
          : this.#averageMs + WEIGHT * (ms - this.#averageMs)
    }
  }

  /** As many frames it works off in the time that a burst may take; 0 for a slow one. */
  get backlog(): number {
    return Math.floor(BURST_MS / this.#averageMs)
  }
}
