const FIRST_PAUSE_MS = 500
const MAX_PAUSE_MS = 30_000
/** After a run of this length the first retry comes at once. */
const RAN_WELL_MS = 10_000

/** When to retry a lost or failed remote connection: with growing pauses, without limit. */
export class Retries {
  /** Total number of failures. */
  failures = 0
  readonly #maxPauseMs: number
  #inARow = 0

  constructor(maxPauseMs = MAX_PAUSE_MS) {
    this.#maxPauseMs = maxPauseMs
  }

  /** Records a failure after a run of `ranMs`; returns how long to wait, in milliseconds. */
  failed(ranMs: number): number {
    if (ranMs >= RAN_WELL_MS) this.#inARow = 0
    this.failures++
    this.#inARow++
    return Math.min(this.#maxPauseMs, FIRST_PAUSE_MS * 2 ** (this.#inARow - 1))
  }
}
