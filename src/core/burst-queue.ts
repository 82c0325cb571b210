import { nowMs } from './clock.ts'

/**
 * First in, first out for as long as it moves. Publishers send in bursts, and a burst that is worked off soon passes
 * whole; but when the oldest value has waited too long, or too many wait, all but the newest are given up: delay is
 * bounded, and what cannot keep up gets what is newest.
 */
export class BurstQueue<T> {
  /** Values given up. */
  dropped = 0
  readonly #maxWaitMs: number
  readonly #maxLength: number
  #waiting: { value: T; since: number }[] = []

  constructor(maxWaitMs: number, maxLength: number) {
    this.#maxWaitMs = maxWaitMs
    this.#maxLength = maxLength
  }

  get length(): number {
    return this.#waiting.length
  }

  /** Returns what was given up, oldest first. */
  push(value: T, now = nowMs()): T[] {
    const oldest = this.#waiting[0]
    const stuck =
      oldest !== undefined && (now - oldest.since > this.#maxWaitMs || this.#waiting.length >= this.#maxLength)
    const given = stuck ? this.#waiting : []
    if (stuck) this.#waiting = []
    this.dropped += given.length
    this.#waiting.push({ value, since: now })
    return given.map((item) => item.value)
  }

  shift(): T | undefined {
    return this.#waiting.shift()?.value
  }
}
