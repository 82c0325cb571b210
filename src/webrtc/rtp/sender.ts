// One RTP stream to one viewer: headers, history, retransmission (RFC 3550, RFC 4588, RFC 4585).
import { randomInt } from 'node:crypto'
import { RTP_HEADER_BYTES } from '../../codec/rtp/packet.ts'
import { ntpFromUnixMs, writeCname, writeSenderReport } from '../../codec/rtp/rtcp.ts'
import { nowMs } from '../../core/clock.ts'
import { PacketBatch } from '../native/packet-batch.ts'
import type { Peer } from '../peer.ts'
import type { AgreedCodec } from '../signalling/codec-choice.ts'
import { type AgreedMedia, EXTENSIONS } from '../signalling/negotiate.ts'

/** Packets kept for retransmission: more than a second at 5 Mbit/s. */
const HISTORY = 512
/** One loss may be reported several times before its retransmission arrives. */
const RESEND_AFTER_MS = 15

/** A packet that failed this often will not arrive. */
const MAX_RESENDS = 4
/** Share of the media's bytes available for retransmissions; 5 % of loss needs a fifth of it. */
const RESEND_SHARE = 0.25
/** Enough for a keyframe that was lost completely. */
const RESEND_BURST_BYTES = 128 * 1024

/** A sent packet with everything that it was made from: without a separate retransmission stream it is built again. */
type Sent = {
  sequence: number
  rollover: number
  timestamp: number
  marker: boolean
  payload: Uint8Array
  /** As in the extension, if it is sent. */
  sendTime: number
  playoutDelay: number
  at: number
  resends: number
}

/** Nothing waits between filling and sending, so all senders share it. */
const batch = new PacketBatch()

/** Maps this machine's time to presentation time, the same for all streams of a viewer. */
export type MediaClock = {
  /** Presentation time at the moment `at`, in 90 kHz ticks. */
  pts: number
  /** On the clock of `nowMs`. */
  at: number
}

const EXTENSION_HEADER_BYTES = 4
/** A viewer on a jittery network may buffer up to 100 ms longer. */
const PLAYOUT_SLACK = 10

export type SenderStats = {
  packets: number
  bytes: number
  resent: number
  /** Retransmission requests refused: too often for one packet, or beyond the viewer's share. */
  resendsRefused: number
}

export const newSsrc = (): number => randomInt(1, 2 ** 32 - 1)

export class RtpSender {
  readonly ssrc: number
  readonly retransmissionSsrc: number | undefined
  readonly cname: string
  readonly stats: SenderStats = { packets: 0, bytes: 0, resent: 0, resendsRefused: 0 }
  readonly #peer: Peer
  readonly #codec: AgreedCodec
  readonly #extension: Extension
  readonly #headerBytes: number
  /** Entries are overwritten, not allocated: with hundreds of viewers garbage collection would be noticeable. */
  readonly #history: Sent[] = []
  readonly #timestampOffset: number
  // RFC 3711 §3.3.1: a low start keeps the first wraparound away from early losses.
  #sequence = randomInt(2 ** 15)
  #rollover = 0
  #resendSequence = randomInt(2 ** 15)
  #resendRollover = 0
  /** Bytes sent, without headers and retransmissions. */
  payloadBytes = 0
  #resendAllowance = RESEND_BURST_BYTES
  #playoutDelay = 0

  /**
   * `own`: the stream's SSRCs, if the peer already knows them. `timestampOffset` is added to the time stamps, in ticks;
   * random by default (RFC 3550 §5.1).
   */
  constructor(
    peer: Peer,
    media: AgreedMedia,
    own: { cname: string; ssrc?: number; retransmissionSsrc?: number },
    timestampOffset = randomInt(2 ** 32),
  ) {
    this.#peer = peer
    this.cname = own.cname
    this.ssrc = own.ssrc ?? newSsrc()
    this.#timestampOffset = timestampOffset
    this.#codec = media.codecs[0]!
    const repairs = this.#codec.retransmission !== undefined
    this.retransmissionSsrc = repairs ? (own.retransmissionSsrc ?? newSsrc()) : undefined
    this.#extension = extensionTemplate(media.extensions)
    this.#headerBytes = RTP_HEADER_BYTES + this.#extension.bytes.length
  }

  /**
   * How long the viewer should buffer frames, from the next packet on; at 0 it shows each one at once. The extension
   * counts in steps of 10 ms, with 12 bits each for minimum and maximum.
   */
  set playoutDelayMs(ms: number) {
    const least = Math.min(0xfff, Math.round(ms / 10))
    const most = least === 0 ? 0 : Math.min(0xfff, least + PLAYOUT_SLACK)
    this.#playoutDelay = least * 0x1000 + most
  }

  /** RTP time stamp of a presentation time in 90 kHz ticks. */
  timestamp(pts: number): number {
    const ticks = Math.round((pts * this.#codec.clockRate) / 90_000) + this.#timestampOffset
    return ((ticks % 2 ** 32) + 2 ** 32) % 2 ** 32
  }

  /** Sends payloads with one time stamp; the last packet has the marker bit if `marksLast`. */
  send(payloads: readonly Uint8Array[], timestamp: number, marksLast: boolean): void {
    const now = nowMs()
    const { payloadType } = this.#codec
    const overheadBytes = this.#headerBytes + this.#peer.overheadBytes
    const last = payloads.length - 1
    batch.clear()
    for (let i = 0; i <= last; i++) {
      const payload = payloads[i]!
      const sent = this.#remember(payload, timestamp, marksLast && i === last, now)
      const bytes = overheadBytes + payload.length
      this.#append(sent, payloadType, this.ssrc, sent.sequence, sent.rollover)
      this.stats.packets++
      this.stats.bytes += bytes
      this.payloadBytes += payload.length
      this.#resendAllowance = Math.min(RESEND_BURST_BYTES, this.#resendAllowance + RESEND_SHARE * bytes)
    }
    this.#flush()
  }

  /** Retransmits packets that are still in the history and were not just sent. */
  resend(sequences: readonly number[]): void {
    const now = nowMs()
    batch.clear()
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
      this.#appendAgain(sent)
    }
    this.#flush()
  }

  /** A report that ties the RTP clock to wall-clock time through `clock`, with the sender's CNAME. */
  report(clock: MediaClock): Buffer[] {
    const now = nowMs()
    const pts = clock.pts + (now - clock.at) * 90
    const { packets } = this.stats
    const ntp = ntpFromUnixMs(Date.now())
    const timestamp = this.timestamp(pts)
    const report = writeSenderReport({ ssrc: this.ssrc, ntp, timestamp, packets, bytes: this.payloadBytes })
    return [report, writeCname(this.ssrc, this.cname)]
  }

  #remember(payload: Uint8Array, timestamp: number, marker: boolean, at: number): Sent {
    const sequence = this.#sequence
    const slot = sequence % HISTORY
    const sent = this.#history[slot] ?? { ...NOTHING_SENT }
    this.#history[slot] = sent
    sent.sequence = sequence
    sent.rollover = this.#rollover
    sent.timestamp = timestamp
    sent.marker = marker
    sent.payload = payload
    sent.sendTime = absoluteSendTime(at)
    sent.playoutDelay = this.#playoutDelay
    sent.at = at
    sent.resends = 0
    this.#sequence = (sequence + 1) & 0xffff
    if (this.#sequence === 0) this.#rollover++
    return sent
  }

  /**
   * RFC 4588 §4: in another stream, with the lost packet's sequence number before its payload. Without that stream it
   * must be the identical packet: other content under the same sequence number would reveal the key stream.
   */
  #appendAgain(sent: Sent): void {
    const { retransmission, payloadType } = this.#codec
    if (retransmission === undefined || this.retransmissionSsrc === undefined) {
      this.#append(sent, payloadType, this.ssrc, sent.sequence, sent.rollover)
      return
    }
    sent.sendTime = absoluteSendTime(sent.at)
    sent.playoutDelay = this.#playoutDelay
    this.#append(
      sent,
      retransmission,
      this.retransmissionSsrc,
      this.#resendSequence,
      this.#resendRollover,
      sent.sequence,
    )
    this.#resendSequence = (this.#resendSequence + 1) & 0xffff
    if (this.#resendSequence === 0) this.#resendRollover++
    this.stats.bytes += this.#headerBytes + 2 + sent.payload.length + this.#peer.overheadBytes
  }

  /** Writes a packet into the batch and encrypts it there; `original`, if given, goes before the payload. */
  #append(sent: Sent, type: number, ssrc: number, sequence: number, rollover: number, original?: number): void {
    const { payload } = sent
    const payloadBytes = payload.length + (original === undefined ? 0 : 2)
    const length = this.#headerBytes + payloadBytes + this.#peer.overheadBytes
    if (!batch.fits(length)) this.#flush()
    const { bytes } = batch.memory
    const at = batch.end
    this.#writeHeader(bytes, at, sent, type, ssrc, sequence)
    let payloadAt = at + this.#headerBytes
    if (original !== undefined) {
      bytes[payloadAt++] = original >>> 8
      bytes[payloadAt++] = original
    }
    bytes.set(payload, payloadAt)
    if (this.#peer.protectRtp(batch.memory, at, this.#headerBytes, payloadBytes, rollover)) batch.add(length)
  }

  #writeHeader(bytes: Buffer, at: number, sent: Sent, type: number, ssrc: number, sequence: number): void {
    const { timestamp, marker, sendTime, playoutDelay } = sent
    const { bytes: extension, playoutDelayAt, absoluteSendTimeAt } = this.#extension
    bytes[at] = extension.length > 0 ? 0x90 : 0x80
    bytes[at + 1] = marker ? type | 0x80 : type
    bytes[at + 2] = sequence >>> 8
    bytes[at + 3] = sequence
    write32(bytes, at + 4, timestamp)
    write32(bytes, at + 8, ssrc)
    const from = at + RTP_HEADER_BYTES
    for (let i = 0; i < extension.length; i++) bytes[from + i] = extension[i]!
    if (playoutDelayAt !== undefined) write24(bytes, from + playoutDelayAt, playoutDelay)
    if (absoluteSendTimeAt !== undefined) write24(bytes, from + absoluteSendTimeAt, sendTime)
  }

  #flush(): void {
    if (batch.count > 0) this.#peer.sendBatch(batch)
    batch.clear()
  }
}

const NOTHING_SENT: Sent = {
  sequence: -1,
  rollover: 0,
  timestamp: 0,
  marker: false,
  payload: new Uint8Array(0),
  sendTime: 0,
  playoutDelay: 0,
  at: 0,
  resends: 0,
}

/** Seconds in 6.18 fixed point. */
const absoluteSendTime = (ms: number): number => Math.floor(ms * 262.144) % 2 ** 24

function write24(bytes: Buffer, at: number, value: number): void {
  bytes[at] = value >>> 16
  bytes[at + 1] = value >>> 8
  bytes[at + 2] = value
}

function write32(bytes: Buffer, at: number, value: number): void {
  bytes[at] = value >>> 24
  write24(bytes, at + 1, value)
}

/** The header extension block, and the offsets of its variable values. */
type Extension = { bytes: Buffer; playoutDelayAt: number | undefined; absoluteSendTimeAt: number | undefined }

/**
 * The extension block of all packets of a stream (RFC 8285 §4.2): the playout delay, 0 by default so that the viewer
 * shows each frame at once, and the send time, for its bandwidth estimation.
 */
function extensionTemplate(agreed: AgreedMedia['extensions']): Extension {
  const elements: number[] = []
  const add = (id: number | undefined) => {
    if (id === undefined) return
    elements.push((id << 4) | 2, 0, 0, 0)
    return EXTENSION_HEADER_BYTES + elements.length - 3
  }
  const playoutDelayAt = add(agreed.get(EXTENSIONS.playoutDelay)?.id)
  const absoluteSendTimeAt = add(agreed.get(EXTENSIONS.absoluteSendTime)?.id)
  const bytes = Buffer.from(elements.length === 0 ? [] : [0xbe, 0xde, 0, elements.length / 4, ...elements])
  return { bytes, playoutDelayAt, absoluteSendTimeAt }
}
