// How much one viewer's network takes, by what the viewer reports.
import { nowMs } from '../core/clock.ts'
import type { RateMeter } from '../core/counters.ts'

/** A viewer repeats its estimate each second; an older one says nothing any more. */
const ESTIMATE_LIFE_MS = 10_000
const HEAVY_LOSS = 0.1
const LIGHT_LOSS = 0.02
const GROWTH = 1.08

/** The lower of the viewer's own estimate (REMB) and of what its losses say. */
export class BandwidthWatch {
  readonly #sent: RateMeter
  #estimate: { bitsPerSecond: number; at: number } | undefined
  #lossLimit = Number.POSITIVE_INFINITY

  /** `sent` counts bytes. */
  constructor(sent: RateMeter) {
    this.#sent = sent
  }

  /** The viewer estimated its bandwidth. */
  estimated(bitsPerSecond: number, now = nowMs()): void {
    this.#estimate = { bitsPerSecond, at: now }
  }

  /** The viewer reported losses, from 0 to 1, since its report before. */
  lost(fraction: number, now = nowMs()): void {
    const sending = this.#sent.perSecond(now) * 8
    if (fraction > HEAVY_LOSS) this.#lossLimit = Math.min(this.#lossLimit, sending) * (1 - fraction / 2)
    else if (fraction < LIGHT_LOSS) this.#lossLimit *= GROWTH
    // Far above what is sent the limit has been tested by nothing.
    if (this.#lossLimit > sending * 2) this.#lossLimit = Number.POSITIVE_INFINITY
  }

  /** In kbit/s; undefined when nothing limits the viewer, as far as known. */
  availableKbps(now = nowMs()): number | undefined {
    const estimate =
      this.#estimate && now - this.#estimate.at < ESTIMATE_LIFE_MS ? this.#estimate.bitsPerSecond : undefined
    const lower = Math.min(estimate ?? Number.POSITIVE_INFINITY, this.#lossLimit)
    return Number.isFinite(lower) ? Math.round(lower / 1000) : undefined
  }
}
