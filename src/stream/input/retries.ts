/** So many attempts follow quickly; later ones wait, without limit on their number. */
const QUICK_TRIES = 5
const QUICK_MS = 50
const SLOW_MS = 10_000
const SLOWEST_MS = 30_000
/** A run of this length counts as working. */
const RAN_WELL_MS = 1000

/** When to retry after a failure: nothing is given up while there is a publisher. */
export class Retries {
  /** Total number of failures. */
  count = 0
  #inARow = 0
  #gave = true

  /** True from the last quick attempt until there is output again. */
  get failing(): boolean {
    return this.#inARow >= QUICK_TRIES && !this.#gave
  }

  /** Call when there was output. */
  gave(): void {
    this.#gave = true
  }

  /** Records a failure after a run of `ranMs`; returns how long to wait, in milliseconds. */
  failed(ranMs: number): number {
    if (ranMs > RAN_WELL_MS && this.#gave) this.#inARow = 0
    this.#gave = false
    this.count++
    this.#inARow++
    if (this.#inARow < QUICK_TRIES) return QUICK_MS * 2 ** (this.#inARow - 1)
    return Math.min(SLOWEST_MS, SLOW_MS * 2 ** (this.#inARow - QUICK_TRIES))
  }
}
