/** One slot: a newer value replaces one that was not taken yet, and the loss is counted. */
export class LatestBox<T> {
  /** Values replaced before they were taken. */
  replaced = 0
  #value: T | undefined

  /** Returns the replaced value. */
  put(value: T): T | undefined {
    const old = this.#value
    if (old !== undefined) this.replaced++
    this.#value = value
    return old
  }

  take(): T | undefined {
    const value = this.#value
    this.#value = undefined
    return value
  }

  get full(): boolean {
    return this.#value !== undefined
  }
}
