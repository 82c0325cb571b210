// One RTP stream to one viewer: headers, history, retransmission (RFC 3550, RFC 4588, RFC 4585).
import { randomInt } from 'node:crypto'
import { RTP_HEADER_BYTES } from '../../codec/rtp/packet.ts'
import { ntpFromUnixMs, writeCname, writeSenderReport } from '../../codec/rtp/rtcp.ts'
import { nowMs } from '../../core/clock.ts'
import type { Peer } from '../peer.ts'
import type { AgreedCodec } from '../signalling/codec-choice.ts'
import { type AgreedMedia, EXTENSIONS } from '../signalling/negotiate.ts'

/** Packets kept for retransmission: more than a second at 5 Mbit/s. */
const HISTORY = 512
/** One loss may be reported several times before its mend arrives. */
const RESEND_AFTER_MS = 15

/** A packet that did not arrive in so many tries will not. */
const MAX_RESENDS = 4
/** Of the bytes of media, for what is sent again; 5 % of loss need a fifth of it. */
const RESEND_SHARE = 0.25
/** A keyframe may be lost whole. */
const RESEND_BURST_BYTES = 128 * 1024

type Sent = {
  sequence: number
  timestamp: number
  marker: boolean
  payload: Uint8Array
  /** The packet as it went out, kept where retransmissions have no stream of their own. */
  packet: Buffer | undefined
  at: number
  resends: number
}

/** The line between time on this machine and presentation time, one for all streams of a viewer. */
export type MediaClock = {
  /** Presentation time, in 90 kHz ticks, of the moment `at`. */
  pts: number
  /** As `nowMs` gives it. */
  at: number
}

/** In the extension block, behind its own header and that of the element. */
const PLAYOUT_DELAY_AT = 5
/** A viewer whose network is uneven too may hold frames 100 ms longer. */
const PLAYOUT_SLACK = 10

export type SenderStats = {
  packets: number
  bytes: number
  resent: number
  /** Asked for, and not sent again: too often, or more than the share of the viewer. */
  resendsRefused: number
}

export class RtpSender {
  readonly ssrc = randomInt(1, 2 ** 32 - 1)
  readonly retransmissionSsrc: number | undefined
  readonly cname: string
  readonly stats: SenderStats = { packets: 0, bytes: 0, resent: 0, resendsRefused: 0 }
  readonly #peer: Peer
  readonly #codec: AgreedCodec
  readonly #absoluteSendTime: number | undefined
  readonly #extension: Buffer
  readonly #hasPlayoutDelay: boolean
  readonly #history: (Sent | undefined)[] = new Array(HISTORY)
  readonly #timestampOffset = randomInt(2 ** 32)
  // RFC 3711 §3.3.1: a low start keeps the first turn away from the first losses.
  #sequence = randomInt(2 ** 15)
  #rollover = 0
  #resendSequence = randomInt(2 ** 15)
  #resendRollover = 0
  #payloadBytes = 0
  #resendAllowance = RESEND_BURST_BYTES

  constructor(peer: Peer, media: AgreedMedia, cname: string) {
    this.#peer = peer
    this.cname = cname
    this.#codec = media.codecs[0]!
    this.retransmissionSsrc = this.#codec.retransmission === undefined ? undefined : randomInt(1, 2 ** 32 - 1)
    const extension = extensionTemplate(media.extensions)
    this.#extension = extension.bytes
    this.#hasPlayoutDelay = extension.hasPlayoutDelay
    this.#absoluteSendTime = extension.absoluteSendTimeAt
  }

  /**
   * How long the viewer shall hold frames back, from the next packet on; at 0 it shows each one at once. The extension
   * counts in steps of 10 ms, 12 bits for the least and 12 for the most.
   */
  set playoutDelayMs(ms: number) {
    if (!this.#hasPlayoutDelay) return
    const least = Math.min(0xfff, Math.round(ms / 10))
    const most = least === 0 ? 0 : Math.min(0xfff, least + PLAYOUT_SLACK)
    this.#extension.writeUIntBE(least * 0x1000 + most, PLAYOUT_DELAY_AT, 3)
  }

  /** RTP time stamp of a presentation time in 90 kHz ticks. */
  timestamp(pts: number): number {
    const ticks = Math.round((pts * this.#codec.clockRate) / 90_000) + this.#timestampOffset
    return ((ticks % 2 ** 32) + 2 ** 32) % 2 ** 32
  }

  send(payload: Uint8Array, timestamp: number, marker: boolean): void {
    const sequence = this.#sequence
    const { payloadType } = this.#codec
    const packet = this.#packet(payloadType, marker, sequence, timestamp, this.ssrc, payload.length)
    this.#peer.sendRtp(packet, this.#headerBytes, payload, this.#rollover)
    this.#sequence = (sequence + 1) & 0xffff
    if (this.#sequence === 0) this.#rollover++
    this.stats.packets++
    this.stats.bytes += packet.length
    this.#resendAllowance = Math.min(RESEND_BURST_BYTES, this.#resendAllowance + RESEND_SHARE * packet.length)
    this.#payloadBytes += payload.length
    const kept = this.#codec.retransmission === undefined ? packet : undefined
    this.#history[sequence % HISTORY] = { sequence, timestamp, marker, payload, packet: kept, at: nowMs(), resends: 0 }
  }

  /** Sends again what is still in the history and was not sent just now. */
  resend(sequences: readonly number[]): void {
    const now = nowMs()
    for (const sequence of sequences) {
      const sent = this.#history[sequence % HISTORY]
      if (sent?.sequence !== sequence || now - sent.at < RESEND_AFTER_MS) continue
      const bytes = this.#headerBytes + sent.payload.length
      if (sent.resends >= MAX_RESENDS || bytes > this.#resendAllowance) {
        this.stats.resendsRefused++
        continue
      }
      this.#resendAllowance -= bytes
      sent.at = now
      sent.resends++
      this.stats.resent++
      if (sent.packet) this.#peer.resend(sent.packet)
      else this.#retransmit(sent)
    }
  }

  /** A report that ties the RTP clock to wall-clock time through `clock`, with the name of this sender. */
  report(clock: MediaClock): Buffer[] {
    const now = nowMs()
    const pts = clock.pts + (now - clock.at) * 90
    const { packets } = this.stats
    const ntp = ntpFromUnixMs(Date.now())
    const timestamp = this.timestamp(pts)
    const report = writeSenderReport({ ssrc: this.ssrc, ntp, timestamp, packets, bytes: this.#payloadBytes })
    return [report, writeCname(this.ssrc, this.cname)]
  }

  get #headerBytes(): number {
    return RTP_HEADER_BYTES + this.#extension.length
  }

  /** RFC 4588 §4: another stream, with the sequence number of the lost packet before its payload. */
  #retransmit({ sequence, timestamp, marker, payload }: Sent): void {
    const original = Buffer.allocUnsafe(2 + payload.length)
    original.writeUInt16BE(sequence)
    original.set(payload, 2)
    const [type, ssrc] = [this.#codec.retransmission!, this.retransmissionSsrc!]
    const packet = this.#packet(type, marker, this.#resendSequence, timestamp, ssrc, original.length)
    this.#peer.sendRtp(packet, this.#headerBytes, original, this.#resendRollover)
    this.#resendSequence = (this.#resendSequence + 1) & 0xffff
    if (this.#resendSequence === 0) this.#resendRollover++
    this.stats.bytes += packet.length
  }

  /** A packet with its header written, and room for the payload and what SRTP adds. */
  #packet(type: number, marker: boolean, sequence: number, timestamp: number, ssrc: number, payloadBytes: number) {
    const extended = this.#extension.length > 0
    const packet = Buffer.allocUnsafe(this.#headerBytes + payloadBytes + this.#peer.overheadBytes)
    packet[0] = extended ? 0x90 : 0x80
    packet[1] = marker ? type | 0x80 : type
    packet.writeUInt16BE(sequence, 2)
    packet.writeUInt32BE(timestamp, 4)
    packet.writeUInt32BE(ssrc, 8)
    if (extended) {
      packet.set(this.#extension, RTP_HEADER_BYTES)
      // 6.18 fixed point seconds.
      const time = Math.floor(nowMs() * 262.144) % 2 ** 24
      if (this.#absoluteSendTime !== undefined) packet.writeUIntBE(time, this.#absoluteSendTime, 3)
    }
    return packet
  }
}

/**
 * The header extension block that all packets of a stream carry (RFC 8285 §4.2): the playout delay, first and at 0 to 0,
 * which asks the viewer to show each frame at once, and room for the time of sending, which lets it estimate its bandwidth.
 */
function extensionTemplate(agreed: AgreedMedia['extensions']): {
  bytes: Buffer
  hasPlayoutDelay: boolean
  absoluteSendTimeAt: number | undefined
} {
  const elements: number[] = []
  const playoutDelay = agreed.get(EXTENSIONS.playoutDelay)?.id
  if (playoutDelay !== undefined) elements.push((playoutDelay << 4) | 2, 0, 0, 0)
  const sendTime = agreed.get(EXTENSIONS.absoluteSendTime)?.id
  const absoluteSendTimeAt = sendTime === undefined ? undefined : RTP_HEADER_BYTES + 4 + elements.length + 1
  if (sendTime !== undefined) elements.push((sendTime << 4) | 2, 0, 0, 0)
  const hasPlayoutDelay = playoutDelay !== undefined
  if (elements.length === 0) return { bytes: Buffer.alloc(0), hasPlayoutDelay, absoluteSendTimeAt }
  return { hasPlayoutDelay, bytes: Buffer.from([0xbe, 0xde, 0, elements.length / 4, ...elements]), absoluteSendTimeAt }
}
