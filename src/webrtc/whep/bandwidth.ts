// How much one viewer's network takes, by what the viewer reports.
import type { ReportBlock } from '../../codec/rtp/rtcp.ts'
import { nowMs } from '../../core/clock.ts'
import type { RateMeter } from '../../core/counters.ts'

/** Losses are counted over so long, and over so many packets: a few of a few are no measure. */
const WINDOW_MS = 1000
const WINDOW_PACKETS = 100
/** Less can be mended by sending again; more is taken for a full network. */
const HEAVY_LOSS = 0.1
/** An estimate that falls by this part has fallen. */
const FALL = 0.02
/** By this a limit grows each second in which nothing speaks for it. */
const GROWTH = 1.08
const GROW_EVERY_MS = 1000
const LEAST_KBPS = 64

/**
 * A limit that begins when the viewer's own estimate (REMB) falls below what is sent, or when losses are heavy, and grows
 * slowly from then on until nothing limits. An estimate as such is none: it never exceeds what is sent by much, and so
 * would keep a still image at its low rate when it begins to move.
 */
export class BandwidthWatch {
  readonly #sent: RateMeter
  #limitKbps = Number.POSITIVE_INFINITY
  #changedAt = 0
  #estimateKbps = 0
  #window: { since: number; expected: number; lost: number } | undefined
  #highest: number | undefined

  /** `sent` counts bytes. */
  constructor(sent: RateMeter) {
    this.#sent = sent
  }

  /** The viewer estimated its bandwidth. */
  estimated(bitsPerSecond: number, now = nowMs()): void {
    const kbps = bitsPerSecond / 1000
    const fell = kbps < this.#estimateKbps * (1 - FALL) && kbps < this.#sendingKbps(now)
    this.#estimateKbps = kbps
    if (fell) this.#limit(kbps, now)
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
    const loss = window.lost / window.expected
    if (loss > HEAVY_LOSS) this.#limit(Math.min(this.#limitKbps, this.#sendingKbps(now)) * (1 - loss / 2), now)
  }

  /** In kbit/s; undefined when nothing limits the viewer, as far as known. */
  availableKbps(now = nowMs()): number | undefined {
    const seconds = Math.floor((now - this.#changedAt) / GROW_EVERY_MS)
    if (seconds > 0) {
      this.#limitKbps *= GROWTH ** seconds
      this.#changedAt += seconds * GROW_EVERY_MS
      // Far above what is sent it is tested by nothing.
      if (this.#limitKbps > 2 * this.#sendingKbps(now)) this.#limitKbps = Number.POSITIVE_INFINITY
    }
    return Number.isFinite(this.#limitKbps) ? Math.round(this.#limitKbps) : undefined
  }

  #limit(kbps: number, now: number): void {
    this.#limitKbps = Math.max(LEAST_KBPS, Math.min(this.#limitKbps, kbps))
    this.#changedAt = now
  }

  #sendingKbps(now: number): number {
    return (this.#sent.perSecond(now) * 8) / 1000
  }
}
