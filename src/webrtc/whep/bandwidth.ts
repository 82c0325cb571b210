// Estimates the capacity of one viewer's network from the viewer's reports.
import type { ReportBlock } from '../../codec/rtp/rtcp.ts'
import { nowMs } from '../../core/clock.ts'
import type { RateMeter } from '../../core/counters.ts'

/** Loss is measured over this time and this number of packets: fewer are no measure. */
const WINDOW_MS = 1000
const WINDOW_PACKETS = 100
/** Retransmission repairs less than this; more is taken for congestion. */
const HEAVY_LOSS = 0.1
/** An estimate that falls by this share counts as falling. */
const FALL = 0.02
/** Growth of a limit per second without signs of congestion. */
const GROWTH = 1.08
const GROW_EVERY_MS = 1000
const LEAST_KBPS = 64

/**
 * A limit begins when the viewer's estimate (REMB) falls below the sent rate, or when loss is heavy, and then grows
 * slowly until nothing limits any more. An estimate by itself is no limit: it never exceeds the sent rate by much, and
 * would hold a still image at its low rate when motion starts.
 */
export class BandwidthWatch {
  readonly #sent: RateMeter
  readonly #offered: RateMeter
  #limitKbps = Number.POSITIVE_INFINITY
  #changedAt = 0
  #estimateKbps = 0
  #window: { since: number; expected: number; lost: number } | undefined
  #highest: number | undefined

  /** Both count bytes: those sent, and those that would be sent if the network carried them. */
  constructor(sent: RateMeter, offered = sent) {
    this.#sent = sent
    this.#offered = offered
  }

  /** Call with the viewer's bandwidth estimate. */
  estimated(bitsPerSecond: number, now = nowMs()): void {
    const kbps = bitsPerSecond / 1000
    const fell = kbps < this.#estimateKbps * (1 - FALL) && kbps < this.#sendingKbps(now)
    this.#estimateKbps = kbps
    if (fell) this.#limit(kbps, now)
  }

  /** Call with the viewer's losses since its last report. */
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

  /** In kbit/s; undefined while no limit is known. */
  availableKbps(now = nowMs()): number | undefined {
    const seconds = Math.floor((now - this.#changedAt) / GROW_EVERY_MS)
    if (seconds > 0) {
      this.#limitKbps *= GROWTH ** seconds
      this.#changedAt += seconds * GROW_EVERY_MS
      // A limit far above the available rate cannot be tested.
      const most = Math.max(this.#sendingKbps(now), (this.#offered.perSecond(now) * 8) / 1000)
      if (this.#limitKbps > 2 * most) this.#limitKbps = Number.POSITIVE_INFINITY
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
