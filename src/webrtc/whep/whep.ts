// WHEP: one viewer over WebRTC (draft-ietf-wish-whep).
import { randomBytes } from 'node:crypto'
import { packetizeH264 } from '../../codec/rtp/h264.ts'
import type { RtcpMessage } from '../../codec/rtp/rtcp.ts'
import { packetizeVp8 } from '../../codec/rtp/vp8.ts'
import { parseSdp } from '../../codec/sdp/session.ts'
import type { Reader } from '../../core/broadcast.ts'
import { nowMs } from '../../core/clock.ts'
import { RateMeter } from '../../core/counters.ts'
import type { EgressSink, EgressStats } from '../../core/media/endpoints.ts'
import type { EncodedPacket, ViewerCodec } from '../../core/media/packet.ts'
import { type Closed, type Context, Scope, sleep } from '../../core/resource.ts'
import { type ChannelServices, NO_SERVICES, serveChannels } from '../data/session-channels.ts'
import type { IceSettings } from '../ice/agent.ts'
import { openPeer, type Peer } from '../peer.ts'
import { type MediaClock, RtpSender } from '../rtp/sender.ts'
import { type LocalStream, writeAnswer } from '../signalling/answer.ts'
import { type Agreement, negotiate, sentVideoCodec } from '../signalling/negotiate.ts'
import { IceSignalling, type SignalledSession } from '../signalling/session.ts'
import { BandwidthWatch } from './bandwidth.ts'
import { Pacer } from './pacer.ts'
import { Thinning } from './thinning.ts'

export type WhepOptions = ViewerOptions & {
  /** SDP offer of the viewer. */
  offer: string
  /** Available codecs, in order of preference; default: H.264, then VP8. */
  codecs?: readonly ViewerCodec[]
  ice: IceSettings
}

export type ViewerOptions = {
  /**
   * Video in the agreed codec, H.264 in Annex B, and Opus; packets in another codec are skipped. Closed with the
   * session, also when the session cannot be opened.
   */
  reader: Reader
  /** Services of its data channels, if the viewer offers any. */
  channels?: ChannelServices
  /**
   * Added to the `pts` of the video for the RTP time stamps: a viewer of two views of a stream with the same offset can
   * match their frames.
   */
  timestampOffset?: number
  /** The viewer needs a keyframe: it has just joined, or lost what cannot be retransmitted. */
  requestKeyframe(): void
  /** How long the viewer should buffer frames, up to 40,950 ms; default 0. */
  playoutDelayMs?(): number
  /** The streams that our own offer has announced. */
  streams?: Partial<Record<'audio' | 'video', LocalStream>>
}

export type WhepStats = EgressStats & {
  /** Capacity of the viewer's network in kbit/s, as far as its feedback says; undefined while nothing limits it. */
  availableKbps: number | undefined
  /** Retransmitted packets. */
  resent: number
  /** Refused retransmission requests: too often, or beyond the viewer's share. */
  resendsRefused: number
  /** Frames left out because the viewer's network carries less than the stream. */
  thinned: number
}

export interface WhepSession extends EgressSink, SignalledSession {
  stats(): WhepStats
}

/** With header, extensions and SRTP tag a packet stays within the 1,200 bytes that every path carries. */
const PAYLOAD_BYTES = 1150
const REPORT_EVERY_MS = 1000
/** A viewer repeats a request until a keyframe arrives; one request within this time is enough. */
const KEYFRAME_EVERY_MS = 250

/** Throws `invalid-request` or `unsupported-media` for an offer that cannot be answered, `capacity` without a port. */
export async function openWhepSession(options: WhepOptions, context: Context): Promise<WhepSession> {
  try {
    const agreement = negotiate(parseSdp(options.offer), 'send', { sendable: options.codecs })
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

/** Sends media to a peer, agreed by its offer or by its answer to ours. */
export class Viewer implements WhepSession {
  readonly answer: string
  readonly connected: Promise<void>
  readonly #scope = new Scope()
  readonly #signalling: IceSignalling
  readonly #peer: Peer
  readonly #options: ViewerOptions
  readonly #codec: ViewerCodec | undefined
  readonly #video: RtpSender | undefined
  readonly #audio: RtpSender | undefined
  readonly #pacer = new Pacer((payloads, timestamp, isEnd) => this.#sendVideo(payloads, timestamp, isEnd))
  readonly #sent = new RateMeter()
  /** Video of the stream, sent or not. */
  readonly #offered = new RateMeter()
  readonly #bandwidth = new BandwidthWatch(this.#sent, this.#offered)
  readonly #thinning = new Thinning()
  #clock: MediaClock | undefined
  #waitingForKey = true
  #keyframeAskedAt = Number.NEGATIVE_INFINITY

  constructor(options: ViewerOptions, agreement: Agreement, peer: Peer) {
    this.#options = options
    this.#peer = peer
    this.#codec = sentVideoCodec(agreement)
    this.#signalling = new IceSignalling(agreement, peer)
    const cname = randomBytes(9).toString('base64url')
    const streams = new Map<number, LocalStream>()
    for (const media of agreement.media) {
      const offset = media.kind === 'video' ? options.timestampOffset : undefined
      const sender = new RtpSender(peer, media, options.streams?.[media.kind] ?? { cname }, offset)
      if (media.kind === 'video') this.#video = sender
      else this.#audio = sender
      streams.set(media.index, sender)
    }
    const { channels = NO_SERVICES } = options
    this.answer = writeAnswer(agreement, peer.local, streams, channels.maxMessageBytes)
    this.connected = peer.connected
    const served = serveChannels(peer, agreement, channels, (pts) => this.#video?.timestamp(pts))
    peer.onRtcp = (messages) => {
      for (const message of messages) this.#feedback(message)
    }
    void peer.closed.then((closed) => this.#scope.end(closed))
    this.#scope.use(peer)
    this.#scope.defer(() => served?.close())
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
      dropped: this.#options.reader.dropped + this.#thinning.dropped,
      thinned: this.#thinning.dropped,
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
    if (packet.track.codec !== this.#codec || !this.#video) return
    if (packet.key) this.#waitingForKey = false
    else if (this.#waitingForKey) return
    if (!this.#fits(packet)) return
    this.#video.playoutDelayMs = this.#options.playoutDelayMs?.() ?? 0
    this.#pacer.push(payloadsOf(packet), this.#video.timestamp(packet.pts))
  }

  /** False for a frame that the viewer's network cannot carry. */
  #fits({ data, key }: EncodedPacket): boolean {
    const now = nowMs()
    this.#offered.add(data.length, now)
    const streamKbps = (this.#offered.perSecond(now) * 8) / 1000
    const availableKbps = this.#bandwidth.availableKbps(now)
    const fits = this.#thinning.take({ bytes: data.length, key, streamKbps, availableKbps }, now)
    if (this.#thinning.wantsKeyframe(now)) this.#requestKeyframe()
    return fits
  }

  #writeAudio({ data, pts }: EncodedPacket): void {
    const audio = this.#audio
    if (!audio || data.length === 0 || data.length > PAYLOAD_BYTES) return
    const first = audio.stats.packets === 0
    audio.send([data], audio.timestamp(pts), first)
    this.#sent.add(data.length)
    if (first) this.#reportOn(audio)
  }

  #sendVideo(payloads: readonly Uint8Array[], timestamp: number, isEnd: boolean): void {
    const video = this.#video!
    const first = video.stats.packets === 0
    const before = video.payloadBytes
    video.send(payloads, timestamp, isEnd)
    this.#sent.add(video.payloadBytes - before)
    if (first) this.#reportOn(video)
  }

  async #report(signal: AbortSignal): Promise<Closed> {
    for (;;) {
      await sleep(REPORT_EVERY_MS, signal)
      for (const sender of this.#senders()) if (sender.stats.packets > 0) this.#reportOn(sender)
    }
  }

  /** All streams report on one clock, that of presentation times, so that the viewer can sync audio and video. */
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

/** Packetized once for all viewers of a stream. */
const payloadCache = new WeakMap<EncodedPacket, Uint8Array[]>()

function payloadsOf(packet: EncodedPacket): Uint8Array[] {
  const known = payloadCache.get(packet)
  if (known) return known
  const packetize = packet.track.codec === 'vp8' ? packetizeVp8 : packetizeH264
  const payloads = packetize(packet.data, PAYLOAD_BYTES)
  payloadCache.set(packet, payloads)
  return payloads
}
