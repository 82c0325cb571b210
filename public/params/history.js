const DEPTH = 50
/** Edits of the same params within this time count as one: a dragged slider, a typed word. */
const TOGETHER_MS = 1000

/** The values before each change made here, newest last. */
export class ParamsHistory {
  #entries = []
  #lastAt = Number.NEGATIVE_INFINITY

  get empty() {
    return this.#entries.length === 0
  }

  /** Records the values before a change, by name; undefined where there was none. */
  note(before, now = performance.now()) {
    const names = Object.keys(before).sort().join()
    const last = this.#entries.at(-1)
    const goesOn = last && now - this.#lastAt < TOGETHER_MS && Object.keys(last).sort().join() === names
    if (!goesOn) this.#entries.push(before)
    if (this.#entries.length > DEPTH) this.#entries.shift()
    this.#lastAt = now
  }

  /** Removes and returns the values to restore; undefined if there are none left. */
  take() {
    this.#lastAt = Number.NEGATIVE_INFINITY
    return this.#entries.pop()
  }

  clear() {
    this.#entries = []
  }
}
