import { nowMs } from './clock.ts'

/**
 * How long the oldest value may wait, in milliseconds, and how many values may wait. Beyond that all but the newest are
 * dropped, or with `spread` only the oldest ones that are too many: the delay stays, and no large gap comes about.
 */
export type BurstLimits = { waitMs: number; length: number; spread?: boolean }

/**
 * First in, first out while it keeps moving, so that a publisher's burst passes complete if it is processed soon. If
 * the oldest value has waited too long, or too many wait, values are dropped for newer ones: delay is bounded.
 */
export class BurstQueue<T> {
  /** Number of dropped values. */
  dropped = 0
  readonly #limits: (now: number) => BurstLimits
  readonly #waiting: { value: T; since: number }[] = []

  /** `limits` may change over time: a function is called with each value. */
  constructor(limits: BurstLimits | ((now: number) => BurstLimits)) {
    this.#limits = typeof limits === 'function' ? limits : () => limits
  }

  get length(): number {
    return this.#waiting.length
  }

  /** Returns the dropped values, oldest first. */
  push(value: T, now = nowMs()): T[] {
    const { waitMs, length, spread = false } = this.#limits(now)
    const waiting = this.#waiting
    let count = Math.max(0, waiting.length - length + 1)
    while (count < waiting.length && now - waiting[count]!.since > waitMs) count++
    const given = waiting.splice(0, count > 0 && !spread ? waiting.length : count)
    this.dropped += given.length
    waiting.push({ value, since: now })
    return given.map((item) => item.value)
  }

  shift(): T | undefined {
    return this.#waiting.shift()?.value
  }
}
