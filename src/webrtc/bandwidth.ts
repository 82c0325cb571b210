// How much one viewer's network takes, by what the viewer reports.
import type { ReportBlock } from '../codec/rtcp.ts'
import { nowMs } from '../core/clock.ts'
import type { RateMeter } from '../core/counters.ts'

/** A viewer repeats its estimate each second; an older one says nothing any more. */
const ESTIMATE_LIFE_MS = 10_000
/** Losses are counted over so long, and over so many packets: a few of a few are no measure. */
const WINDOW_MS = 1000
const WINDOW_PACKETS = 100
/** Less can be mended by sending again; more is taken for a full network. */
const HEAVY_LOSS = 0.1
const LIGHT_LOSS = 0.02
const GROWTH = 1.08
const LEAST_KBPS = 64

/** The lower of the viewer's own estimate (REMB) and of what its losses say. */
export class BandwidthWatch {
  readonly #sent: RateMeter
  #estimate: { kbps: number; at: number } | undefined
  #lossLimit = Number.POSITIVE_INFINITY
  #window: { since: number; expected: number; lost: number } | undefined
  #highest: number | undefined

  /** `sent` counts bytes. */
  constructor(sent: RateMeter) {
    this.#sent = sent
  }

  /** The viewer estimated its bandwidth. */
  estimated(bitsPerSecond: number, now = nowMs()): void {
    this.#estimate = { kbps: bitsPerSecond / 1000, at: now }
  }

  /** The viewer told its losses since the report before. */
  reported({ highestSequence, fractionLost }: ReportBlock, now = nowMs()): void {
    const expected = Math.max(0, highestSequence - (this.#highest ?? highestSequence))
    this.#highest = highestSequence
    this.#window ??= { since: now, expected: 0, lost: 0 }
    const window = this.#window
    window.expected += expected
    window.lost += expected * fractionLost
    if (now - window.since < WINDOW_MS || window.expected < WINDOW_PACKETS) return
    this.#window = undefined
    this.#adapt(window.lost / window.expected, (this.#sent.perSecond(now) * 8) / 1000)
  }

  /** In kbit/s; undefined when nothing limits the viewer, as far as known. */
  availableKbps(now = nowMs()): number | undefined {
    const estimate = this.#estimate && now - this.#estimate.at < ESTIMATE_LIFE_MS ? this.#estimate.kbps : undefined
    const lower = Math.min(estimate ?? Number.POSITIVE_INFINITY, this.#lossLimit)
    return Number.isFinite(lower) ? Math.max(LEAST_KBPS, Math.round(lower)) : undefined
  }

  #adapt(loss: number, sendingKbps: number): void {
    if (loss > HEAVY_LOSS) {
      this.#lossLimit = Math.max(LEAST_KBPS, Math.min(this.#lossLimit, sendingKbps) * (1 - loss / 2))
    } else if (loss < LIGHT_LOSS) this.#lossLimit *= GROWTH
    // Far above what is sent the limit has been tested by nothing.
    if (this.#lossLimit > sendingKbps * 2) this.#lossLimit = Number.POSITIVE_INFINITY
  }
}
