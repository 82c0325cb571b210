/** Pauses between attempts: each is twice as long as the previous one, up to a limit. */
export class Pauses {
  #first
  #last
  #next

  /**
   * @param {number} firstMs
   * @param {number} lastMs
   */
  constructor(firstMs, lastMs) {
    this.#first = this.#next = firstMs
    this.#last = lastMs
  }

  /** The next pause, in milliseconds. */
  next() {
    const now = this.#next
    this.#next = Math.min(this.#last, now * 2)
    return now
  }

  reset() {
    this.#next = this.#first
  }
}
