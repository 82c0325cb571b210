// WHEP: one viewer, watching by WebRTC (draft-ietf-wish-whep).
import { randomBytes } from 'node:crypto'
import { packetizeH264 } from '../../codec/rtp/h264.ts'
import type { RtcpMessage } from '../../codec/rtp/rtcp.ts'
import { parseSdp } from '../../codec/sdp/session.ts'
import type { Reader } from '../../core/broadcast.ts'
import { nowMs } from '../../core/clock.ts'
import { RateMeter } from '../../core/counters.ts'
import type { EgressSink, EgressStats } from '../../core/media/endpoints.ts'
import type { EncodedPacket } from '../../core/media/packet.ts'
import { type Closed, type Context, Scope, sleep } from '../../core/resource.ts'
import type { IceSettings } from '../ice/agent.ts'
import { openPeer, type Peer } from '../peer.ts'
import { type MediaClock, RtpSender } from '../rtp/sender.ts'
import { type LocalStream, writeAnswer } from '../signalling/answer.ts'
import { type Agreement, negotiate } from '../signalling/negotiate.ts'
import { IceSignalling, type SignalledSession } from '../signalling/session.ts'
import { BandwidthWatch } from './bandwidth.ts'
import { Pacer } from './pacer.ts'

export type WhepOptions = {
  /** SDP offer of the viewer. */
  offer: string
  /** H.264 in Annex B and Opus. It is ended with the session, also when the session cannot be opened. */
  reader: Reader
  ice: IceSettings
  /** The viewer needs a keyframe: it has just come, or lost what cannot be sent again. */
  requestKeyframe(): void
  /** How long the viewer should hold frames back, up to 40,950 ms; 0 unless told. */
  playoutDelayMs?(): number
}

export type WhepStats = EgressStats & {
  /** What the viewer's network takes, in kbit/s, as far as its feedback tells; undefined while nothing limits it. */
  availableKbps: number | undefined
  /** Packets sent again because the viewer missed them. */
  resent: number
  /** Asked for, and not sent again. */
  resendsRefused: number
}

export interface WhepSession extends EgressSink, SignalledSession {
  /** Settles when media can pass; rejects with `peer-failed` or `timeout`, which then also end the session. */
  readonly connected: Promise<void>
  stats(): WhepStats
}

/** With header, extensions and SRTP tag a packet stays within the 1,200 bytes that every path takes. */
const PAYLOAD_BYTES = 1150
const REPORT_EVERY_MS = 1000
/** A viewer repeats a request until a keyframe arrives; the first one is enough for this long. */
const KEYFRAME_EVERY_MS = 250

/** Throws `invalid-request` or `unsupported-media` for an offer that cannot be answered, `capacity` without a port. */
export async function openWhepSession(options: WhepOptions, context: Context): Promise<WhepSession> {
  try {
    const agreement = negotiate(parseSdp(options.offer), 'send')
    const peer = await openPeer(options.ice, agreement.transport, context)
    peer.connected.catch((err) => {
      if (err.code === 'timeout') context.log.info({ err, ...err.details }, 'viewer did not connect')
    })
    return new Viewer(options, agreement, peer)
  } catch (thrown) {
    options.reader.end()
    throw thrown
  }
}

type PacedPacket = { payload: Uint8Array; timestamp: number; marker: boolean }

class Viewer implements WhepSession {
  readonly answer: string
  readonly connected: Promise<void>
  readonly #scope = new Scope()
  readonly #signalling: IceSignalling
  readonly #peer: Peer
  readonly #options: WhepOptions
  readonly #video: RtpSender | undefined
  readonly #audio: RtpSender | undefined
  readonly #pacer = new Pacer<PacedPacket>(({ payload, timestamp, marker }) =>
    this.#sendVideo(payload, timestamp, marker),
  )
  readonly #sent = new RateMeter()
  readonly #bandwidth = new BandwidthWatch(this.#sent)
  #clock: MediaClock | undefined
  #waitingForKey = true
  #keyframeAskedAt = Number.NEGATIVE_INFINITY

  constructor(options: WhepOptions, agreement: Agreement, peer: Peer) {
    this.#options = options
    this.#peer = peer
    this.#signalling = new IceSignalling(agreement, peer)
    const cname = randomBytes(9).toString('base64url')
    const streams = new Map<number, LocalStream>()
    for (const media of agreement.media) {
      const sender = new RtpSender(peer, media, cname)
      if (media.kind === 'video') this.#video = sender
      else this.#audio = sender
      streams.set(media.index, sender)
    }
    this.answer = writeAnswer(agreement, peer.local, streams)
    this.connected = peer.connected
    peer.onRtcp = (messages) => {
      for (const message of messages) this.#feedback(message)
    }
    void peer.closed.then((closed) => this.#scope.end(closed))
    this.#scope.use(peer)
    this.#scope.defer(() => this.#pacer.clear())
    this.#scope.signal.addEventListener('abort', () => options.reader.end(), { once: true })
    this.#scope.spawn(() => this.#deliver())
    this.#scope.spawn((signal) => this.#report(signal))
  }

  get id(): string {
    return this.#signalling.id
  }

  get etag(): string {
    return this.#signalling.etag
  }

  get closed(): Promise<Closed> {
    return this.#scope.closed
  }

  patch(fragment: string): { restarted: string | undefined } {
    return this.#signalling.patch(fragment)
  }

  stats(): WhepStats {
    const senders = this.#senders()
    return {
      bytes: senders.reduce((sum, { stats }) => sum + stats.bytes, 0),
      resent: senders.reduce((sum, { stats }) => sum + stats.resent, 0),
      resendsRefused: senders.reduce((sum, { stats }) => sum + stats.resendsRefused, 0),
      dropped: this.#options.reader.dropped,
      availableKbps: this.#bandwidth.availableKbps(),
    }
  }

  close(): Promise<Closed> {
    return this.#scope.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #senders(): RtpSender[] {
    return [this.#video, this.#audio].filter((sender) => sender !== undefined)
  }

  async #deliver(): Promise<Closed> {
    let live = false
    void this.connected.then(
      () => {
        live = true
        this.#requestKeyframe()
      },
      () => {},
    )
    for await (const packet of this.#options.reader) if (live) this.#write(packet)
    return { why: 'ended' }
  }

  #write(packet: EncodedPacket): void {
    this.#clock ??= { pts: packet.pts, at: nowMs() }
    if (packet.track.kind === 'audio') {
      if (packet.track.codec === 'opus') this.#writeAudio(packet)
      return
    }
    if (packet.track.codec !== 'h264' || !this.#video) return
    if (packet.key) this.#waitingForKey = false
    else if (this.#waitingForKey) return
    this.#video.playoutDelayMs = this.#options.playoutDelayMs?.() ?? 0
    const timestamp = this.#video.timestamp(packet.pts)
    const payloads = payloadsOf(packet)
    this.#pacer.push(payloads.map((payload, i) => ({ payload, timestamp, marker: i === payloads.length - 1 })))
  }

  #writeAudio({ data, pts }: EncodedPacket): void {
    const audio = this.#audio
    if (!audio || data.length === 0 || data.length > PAYLOAD_BYTES) return
    const first = audio.stats.packets === 0
    audio.send(data, audio.timestamp(pts), first)
    this.#sent.add(data.length)
    if (first) this.#reportOn(audio)
  }

  #sendVideo(payload: Uint8Array, timestamp: number, marker: boolean): void {
    const video = this.#video!
    const first = video.stats.packets === 0
    video.send(payload, timestamp, marker)
    this.#sent.add(payload.length)
    if (first) this.#reportOn(video)
  }

  async #report(signal: AbortSignal): Promise<Closed> {
    for (;;) {
      await sleep(REPORT_EVERY_MS, signal)
      for (const sender of this.#senders()) if (sender.stats.packets > 0) this.#reportOn(sender)
    }
  }

  /** All streams report on one clock, that of the presentation times, so that the viewer keeps lips and voice together. */
  #reportOn(sender: RtpSender): void {
    if (this.#clock) this.#peer.sendRtcp(sender.report(this.#clock))
  }

  #feedback(message: RtcpMessage): void {
    switch (message.kind) {
      case 'nack':
        this.#senders()
          .find(({ ssrc }) => ssrc === message.ssrc)
          ?.resend(message.sequences)
        break
      case 'picture-loss':
        this.#requestKeyframe()
        break
      case 'bandwidth-estimate':
        this.#bandwidth.estimated(message.bitsPerSecond)
        break
      case 'sender-report':
      case 'receiver-report': {
        const report = message.reports.find(({ ssrc }) => ssrc === this.#video?.ssrc)
        if (report) this.#bandwidth.reported(report)
        break
      }
    }
  }

  #requestKeyframe(): void {
    const now = nowMs()
    if (now - this.#keyframeAskedAt < KEYFRAME_EVERY_MS) return
    this.#keyframeAskedAt = now
    this.#options.requestKeyframe()
  }
}

/** Cut once for all viewers of a stream. */
const payloadCache = new WeakMap<EncodedPacket, Uint8Array[]>()

function payloadsOf(packet: EncodedPacket): Uint8Array[] {
  const known = payloadCache.get(packet)
  if (known) return known
  const payloads = packetizeH264(packet.data, PAYLOAD_BYTES)
  payloadCache.set(packet, payloads)
  return payloads
}
