/** So that a viewer, who then sees the overlay, never waits a whole second. */
const SHORTEST_MS = 750
/** After a pause in the input nothing is due. */
const PAUSE_MS = 1000
const LONGEST_MS = 4000
/** Outputs closer together belong to one batch. */
const BATCH_MS = 20
const MEMORY = 16

/**
 * Tells when a pipeline that has frames gives nothing: after three quarters of a second, or for one that is slow or works in batches,
 * after twice its own rhythm. Single long pauses do not change that rhythm. Times are milliseconds on one clock.
 */
export class StallWatch {
  readonly #gaps: number[] = []
  /** The last output, or the first frame after a time without frames: something is due since then. */
  #dueSince: number | undefined
  #lastOffer = 0

  /** A frame was given to the pipeline. */
  offered(now: number): void {
    if (this.#dueSince === undefined || now - this.#lastOffer > PAUSE_MS) this.#dueSince = now
    this.#lastOffer = now
  }

  /** An output came. */
  arrived(now: number): void {
    if (this.#dueSince === undefined) return
    const gap = now - this.#dueSince
    this.#dueSince = now
    if (gap < BATCH_MS) return
    this.#gaps.push(gap)
    if (this.#gaps.length > MEMORY) this.#gaps.shift()
  }

  /** The pipeline starts over: nothing is due. */
  reset(): void {
    this.#dueSince = undefined
  }

  stalled(now: number): boolean {
    return (
      this.#dueSince !== undefined && this.#lastOffer - this.#dueSince > 0 && now - this.#dueSince > this.patienceMs
    )
  }

  get patienceMs(): number {
    const sorted = [...this.#gaps].sort((a, b) => a - b)
    const usual = sorted[Math.floor((sorted.length - 1) * 0.75)] ?? 0
    return Math.min(LONGEST_MS, Math.max(SHORTEST_MS, 2 * usual))
  }
}
