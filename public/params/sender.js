/** Between two updates, so that a dragged slider does not flood the pipeline. */
const GAP_MS = 60

/**
 * Sends changes one at a time: what comes while one is under way is merged, the newest value of each key wins, and goes
 * next. `send(changes)` resolves with the answer; `onAnswer(changes, answer)` and `onError(changes, error)` are told.
 */
export class ParamsSender {
  #send
  #onAnswer
  #onError
  #waiting
  #busy = false

  constructor(send, { onAnswer, onError }) {
    this.#send = send
    this.#onAnswer = onAnswer
    this.#onError = onError
  }

  /** True while something is on its way or waits to go. */
  get pending() {
    return this.#busy || this.#waiting !== undefined
  }

  change(name, value) {
    this.#waiting = { ...this.#waiting, [name]: value }
    if (!this.#busy) void this.#run()
  }

  async #run() {
    this.#busy = true
    while (this.#waiting) {
      const changes = this.#waiting
      this.#waiting = undefined
      const gap = new Promise((resolve) => setTimeout(resolve, GAP_MS))
      try {
        this.#onAnswer(changes, await this.#send(changes))
      } catch (error) {
        this.#onError(changes, error)
      }
      await gap
    }
    this.#busy = false
  }
}
