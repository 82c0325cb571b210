import { nowMs } from './clock.ts'

/** Events (or bytes) per second over a rolling window; accurate as soon as one interval has passed. */
export class RateMeter {
  readonly #windowMs: number
  readonly #slotMs: number
  readonly #slots: { start: number; sum: number }[] = []
  /** Over all slots. */
  #sum = 0
  #first: number | undefined
  total = 0

  constructor(windowMs = 2000, slots = 20) {
    this.#windowMs = windowMs
    this.#slotMs = windowMs / slots
  }

  add(amount = 1, now = nowMs()): void {
    this.#first ??= now
    this.total += amount
    this.#sum += amount
    const start = Math.floor(now / this.#slotMs) * this.#slotMs
    const last = this.#slots.at(-1)
    if (last?.start === start) last.sum += amount
    else {
      this.#slots.push({ start, sum: amount })
      this.#trim(now)
    }
  }

  perSecond(now = nowMs()): number {
    if (this.#first === undefined) return 0
    this.#trim(now)
    const span = Math.min(this.#windowMs, now - this.#first)
    // In less than half a second a single event would dominate the rate.
    if (span < 500) return 0
    return (this.#sum * 1000) / span
  }

  #trim(now: number): void {
    while (this.#slots[0] && this.#slots[0].start <= now - this.#windowMs) this.#sum -= this.#slots.shift()!.sum
  }
}

export type Percentiles = { p50: number; p95: number; p99: number }

/** Percentiles of the newest `size` samples. */
export class LatencyMeter {
  readonly #samples: Float64Array
  #count = 0

  constructor(size = 600) {
    this.#samples = new Float64Array(size)
  }

  add(ms: number): void {
    this.#samples[this.#count++ % this.#samples.length] = ms
  }

  /** In milliseconds, rounded to a hundredth; zeros before the first sample. */
  percentiles(): Percentiles {
    const sorted = this.#samples.slice(0, Math.min(this.#count, this.#samples.length)).sort()
    const at = (q: number) =>
      Math.round((sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? 0) * 100) / 100
    return { p50: at(0.5), p95: at(0.95), p99: at(0.99) }
  }
}
