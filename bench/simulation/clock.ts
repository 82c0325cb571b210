import type { Clock } from '../../src/dispatch/clock.ts'

type Timer = { at: number; order: number; act: (() => void) | undefined }

/** A clock that advances when all current work is done: an hour takes as long as the work in it. */
export class SimulatedClock implements Clock {
  readonly #timers: Timer[] = []
  #now = 0
  #order = 0

  now(): number {
    return this.#now
  }

  /** Rounded to a whole millisecond, so that simultaneous actions run together. */
  at(ms: number, act: () => void): () => void {
    const timer: Timer = { at: Math.max(this.#now, Math.round(ms)), order: this.#order++, act }
    this.#push(timer)
    return () => {
      timer.act = undefined
    }
  }

  after(ms: number, act: () => void): () => void {
    return this.at(this.#now + ms, act)
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      const onAbort = () => {
        cancel()
        reject(signal?.reason)
      }
      const cancel = this.after(ms, () => {
        signal?.removeEventListener('abort', onAbort)
        resolve()
      })
      signal?.addEventListener('abort', onAbort, { once: true })
    })
  }

  every(ms: number, act: () => void): () => void {
    let cancel = () => {}
    const next = () => {
      cancel = this.after(ms, () => {
        next()
        act()
      })
    }
    next()
    return () => cancel()
  }

  async run(until: number): Promise<void> {
    for (;;) {
      // Everything that is due now, and what follows from it without waiting.
      await new Promise((resolve) => setImmediate(resolve))
      const first = this.#timers[0]
      if (!first || first.at > until) break
      this.#now = first.at
      while (this.#timers[0] && this.#timers[0].at <= this.#now) this.#pop()?.act?.()
    }
    this.#now = until
  }

  #push(timer: Timer): void {
    const heap = this.#timers
    heap.push(timer)
    for (let at = heap.length - 1; at > 0; ) {
      const above = (at - 1) >> 1
      if (!isBefore(heap[at]!, heap[above]!)) return
      ;[heap[at], heap[above]] = [heap[above]!, heap[at]!]
      at = above
    }
  }

  #pop(): Timer | undefined {
    const heap = this.#timers
    const first = heap[0]
    const last = heap.pop()
    if (!last || last === first) return first
    heap[0] = last
    for (let at = 0; ; ) {
      const [left, right] = [2 * at + 1, 2 * at + 2]
      let least = at
      if (left < heap.length && isBefore(heap[left]!, heap[least]!)) least = left
      if (right < heap.length && isBefore(heap[right]!, heap[least]!)) least = right
      if (least === at) return first
      ;[heap[at], heap[least]] = [heap[least]!, heap[at]!]
      at = least
    }
  }
}

const isBefore = (a: Timer, b: Timer) => a.at < b.at || (a.at === b.at && a.order < b.order)

/** The same numbers in each run (mulberry32). */
export class Chance {
  #state: number

  constructor(seed: number) {
    this.#state = seed
  }

  /** From 0 to 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0
    let value = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state)
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value
    return ((value ^ (value >>> 14)) >>> 0) / 2 ** 32
  }

  between(low: number, high: number): number {
    return low + (high - low) * this.next()
  }

  /** Exponentially distributed with that mean, like the time between independent events. */
  exponential(mean: number): number {
    return -Math.log(1 - this.next()) * mean
  }

  one<T>(of: readonly T[]): T | undefined {
    return of[Math.floor(this.next() * of.length)]
  }
}
