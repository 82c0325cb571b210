export type BitrateOptions = {
  /** The encoder's bitrate when nothing limits it. */
  maxKbps: number
}

/** The lowest bitrate, as a share of the full one. */
const FLOOR = 1 / 8
/** Leaves room for audio, retransmissions and varying frame sizes. */
const HEADROOM = 0.8
/** A smaller change is not worth a new encoder. */
const STEP = 0.15
/** A failing network is followed soon; a recovering one must prove itself first. */
const DOWN_AFTER_MS = 2000
const UP_AFTER_MS = 10_000
/** This share of the viewers, and never fewer than two while others are left, may suffer loss. */
const SLOWEST_PART = 1 / 5

/**
 * Chooses one bitrate for all viewers of a stream from what each network carries. Depends only on its inputs and the
 * time given.
 */
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

  /** `available`: kbit/s for each viewer, undefined if nothing limits it. Returns true if `kbps` has changed. */
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
    // Two viewers must not lower the quality for all others; a single viewer is the whole audience.
    const left = Math.min(sorted.length - 1, Math.max(2, Math.floor(sorted.length * SLOWEST_PART)))
    const slowest = sorted[left] ?? Number.POSITIVE_INFINITY
    return Math.round(Math.min(this.#max, Math.max(this.#max * FLOOR, slowest * HEADROOM)))
  }
}
