// One RTP stream of a publisher: ordering, loss and reports.

import type { OrderedPacket, RtpPacket } from '../../codec/rtp/packet.ts'
import type { StreamClock } from '../../codec/rtp/publisher-clock.ts'
import type { ReceivedReport, RtcpMessage } from '../../codec/rtp/rtcp.ts'
import { writeNack } from '../../codec/rtp/rtcp.ts'
import { nowMs } from '../../core/clock.ts'
import { JitterBuffer } from './jitter-buffer.ts'
import { Reception } from './reception.ts'

export type RtpReceiverOptions = {
  ssrc: number
  clockRate: number
  clock: StreamClock
  /** Whether the publisher retransmits lost packets. */
  repairs: boolean
  onPackets(packets: OrderedPacket[]): void
  /** Sends RTCP to the publisher. */
  sendRtcp(message: Buffer): void
  /** SSRC of our reports. */
  localSsrc: number
}

/** With retransmission there is time for a few attempts over a long path; without it, only for reordered packets. */
const WAIT_MS = { repaired: 400, plain: 40 }
const ASK_EVERY_MS = 40
const TICK_MS = 10

export class RtpReceiver {
  readonly clock: StreamClock
  bytes = 0
  /** Arrival of the newest packet, in milliseconds. */
  newestAt = 0
  /** False for a stream whose losses do not matter now, such as an unused layer. */
  wanted = true
  readonly #options: RtpReceiverOptions
  readonly #buffer: JitterBuffer
  readonly #reception: Reception
  #timer: NodeJS.Timeout | undefined

  constructor(options: RtpReceiverOptions) {
    this.#options = options
    this.clock = options.clock
    const maxWaitMs = options.repairs ? WAIT_MS.repaired : WAIT_MS.plain
    this.#buffer = new JitterBuffer({ maxWaitMs, askEveryMs: ASK_EVERY_MS })
    this.#reception = new Reception(options.ssrc, options.clockRate)
  }

  /** Number of lost packets. */
  get lost(): number {
    return this.#buffer.lost
  }

  /** `repair` marks a packet that was retransmitted in a stream of its own. */
  push(packet: RtpPacket, repair: boolean): void {
    const now = nowMs()
    if (!repair) this.#reception.add(packet, now)
    this.newestAt = now
    this.bytes += packet.payload.length
    const ordered = this.#buffer.push(packet, now)
    if (ordered.length > 0) this.#options.onPackets(ordered)
    if (this.#buffer.hasGaps) this.#timer ??= setInterval(() => this.#tick(), TICK_MS)
  }

  /** Takes a sender report. */
  reported({ ntp, timestamp }: Extract<RtcpMessage, { kind: 'sender-report' }>): void {
    this.#reception.reported(ntp, nowMs())
    if (this.wanted) this.clock.report(ntp, timestamp)
  }

  report(): ReceivedReport | undefined {
    return this.#reception.report(nowMs())
  }

  close(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  #tick(): void {
    const now = nowMs()
    const ordered = this.#buffer.giveUp(now)
    if (ordered.length > 0) this.#options.onPackets(ordered)
    const { ssrc, localSsrc, repairs, sendRtcp } = this.#options
    const missing = this.#buffer.takeMissing(now)
    if (repairs && this.wanted && missing.length > 0) sendRtcp(writeNack(localSsrc, ssrc, missing))
    if (!this.#buffer.hasGaps) this.close()
  }
}
