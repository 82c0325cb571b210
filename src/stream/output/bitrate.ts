export type BitrateOptions = {
  /** What the encoder gives when nothing limits it. */
  maxKbps: number
}

/** It never goes below this part of the full bitrate. */
const FLOOR = 1 / 8
/** Room for audio, retransmissions and the unevenness of encoded frames. */
const HEADROOM = 0.8
/** A smaller change is not worth a new encoder. */
const STEP = 0.15
/** A network that fails is followed soon; one that recovers is given time to prove it. */
const DOWN_AFTER_MS = 2000
const UP_AFTER_MS = 10_000
/** This part of the viewers, and never fewer than one of several, is left to its losses. */
const SLOWEST_PART = 1 / 5

/** Chooses one bitrate for all viewers of a stream from what each one's network takes. A pure function of time. */
export class BitrateGovernor {
  readonly #max: number
  #kbps: number
  #changedAt = Number.NEGATIVE_INFINITY

  constructor({ maxKbps }: BitrateOptions) {
    this.#max = maxKbps
    this.#kbps = maxKbps
  }

  get kbps(): number {
    return this.#kbps
  }

  /** `available`: kbit/s of each viewer, undefined where nothing limits it. True when `kbps` has changed. */
  observe(available: readonly (number | undefined)[], nowMs: number): boolean {
    const target = this.#target(available)
    const change = (target - this.#kbps) / this.#kbps
    if (Math.abs(change) < STEP && target !== this.#max) return false
    if (target === this.#kbps) return false
    if (nowMs - this.#changedAt < (change < 0 ? DOWN_AFTER_MS : UP_AFTER_MS)) return false
    this.#kbps = target
    this.#changedAt = nowMs
    return true
  }

  #target(available: readonly (number | undefined)[]): number {
    const sorted = available.map((kbps) => kbps ?? Number.POSITIVE_INFINITY).sort((a, b) => a - b)
    // What one viewer tells must not take the quality from all others; one who watches alone is the audience.
    const left = sorted.length < 2 ? 0 : Math.max(1, Math.floor(sorted.length * SLOWEST_PART))
    const slowest = sorted[left] ?? Number.POSITIVE_INFINITY
    return Math.round(Math.min(this.#max, Math.max(this.#max * FLOOR, slowest * HEADROOM)))
  }
}
