/** Short enough that a viewer sees the overlay within a second. */
const SHORTEST_MS = 750
/**
 * At most this much of the time between two frames counts, or the patience if longer: the rest is a pause of the
 * source.
 */
const PAUSE_MS = 1000
/** With frames closer together than this, the next output is due from the previous one on. */
const FLOW_MS = 250
const LONGEST_MS = 4000
/** Outputs closer together belong to one batch. */
const BATCH_MS = 20
const MEMORY = 16

/**
 * Detects a pipeline that has frames and gives no output: after three quarters of a second, or, for one that is slow or
 * works in batches, after twice its own rhythm. Single long pauses do not change that rhythm. Times are milliseconds on
 * one clock.
 */
export class StallWatch {
  readonly #gaps: number[] = []
  /** A frame was given since the newest output. */
  #owing = false
  /** How long an output was due at the newest offer. */
  #owedAtOffer = 0
  #lastOffer = Number.NEGATIVE_INFINITY
  #lastOutput = Number.NEGATIVE_INFINITY

  /** A frame was given to the pipeline. */
  offered(now: number): void {
    const flows = now - this.#lastOffer <= FLOW_MS && this.#lastOutput >= this.#lastOffer - FLOW_MS
    this.#owedAtOffer = this.#owing ? this.owedMs(now) : flows ? now - this.#lastOutput : 0
    this.#owing = true
    this.#lastOffer = now
  }

  /** An output came. */
  arrived(now: number): void {
    const gap = this.owedMs(now)
    const owed = this.#owing
    this.#owing = false
    this.#lastOutput = now
    if (!owed || gap < BATCH_MS) return
    this.#gaps.push(gap)
    if (this.#gaps.length > MEMORY) this.#gaps.shift()
  }

  /** The pipeline restarts: nothing is due. */
  reset(): void {
    this.#owing = false
    this.#lastOutput = Number.NEGATIVE_INFINITY
  }

  /** How long an output has been due, in milliseconds; pauses of the source do not count. */
  owedMs(now: number): number {
    if (!this.#owing) return 0
    return this.#owedAtOffer + Math.min(now - this.#lastOffer, Math.max(PAUSE_MS, this.patienceMs + 1))
  }

  stalled(now: number): boolean {
    return this.#owing && this.owedMs(now) > this.patienceMs
  }

  get patienceMs(): number {
    const sorted = [...this.#gaps].sort((a, b) => a - b)
    const usual = sorted[Math.floor((sorted.length - 1) * 0.75)] ?? 0
    return Math.min(LONGEST_MS, Math.max(SHORTEST_MS, 2 * usual))
  }
}
