/** Between two updates, so that a dragged slider does not flood the pipeline, in ms. */
const GAP_MS = 60

/**
 * Sends changes one at a time. Changes made meanwhile are merged, the newest value of each key, and sent next.
 * `send(changes)` resolves with the answer; `onAnswer(changes, answer)` and `onError(changes, error)` report it.
 */
export class ParamsSender {
  #send
  #onAnswer
  #onError
  #waiting
  #busy = false
  #running

  constructor(send, { onAnswer, onError }) {
    this.#send = send
    this.#onAnswer = onAnswer
    this.#onError = onError
  }

  /** True while a change is being sent or waits. */
  get pending() {
    return this.#busy || this.#waiting !== undefined
  }

  /** Resolves when no change is being sent. */
  async idle() {
    while (this.pending) await this.#running
  }

  /** Takes values by name; undefined removes one. */
  change(changes) {
    this.#waiting = { ...this.#waiting, ...changes }
    if (!this.#busy) this.#running = this.#run()
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
