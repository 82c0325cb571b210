// WHIP: one publisher over WebRTC (RFC 9725).
import { randomInt } from 'node:crypto'
import type { OrderedPacket } from '../../codec/rtp/packet.ts'
import { extensionElement, type RtpPacket } from '../../codec/rtp/packet.ts'
import { type RtcpMessage, writePictureLoss, writeReceiverReport } from '../../codec/rtp/rtcp.ts'
import type { VideoUnit } from '../../codec/rtp/video-units.ts'
import { parseSdp } from '../../codec/sdp/session.ts'
import { Broadcast, type Reader } from '../../core/broadcast.ts'
import { nowMs } from '../../core/clock.ts'
import { AppError } from '../../core/errors.ts'
import type { IngestSource, IngestStats } from '../../core/media/endpoints.ts'
import type { AudioTrack, EncodedPacket, Track, VideoCodec, VideoTrack } from '../../core/media/packet.ts'
import { type Closed, type Context, Scope, sleep } from '../../core/resource.ts'
import { type ChannelServices, NO_SERVICES, serveChannels } from '../data/session-channels.ts'
import type { IceSettings } from '../ice/agent.ts'
import { openPeer, type Peer } from '../peer.ts'
import { ArrivalLog } from '../rtp/arrival-log.ts'
import type { RtpReceiver } from '../rtp/receiver.ts'
import { writeAnswer } from '../signalling/answer.ts'
import { type Agreement, EXTENSIONS, negotiate } from '../signalling/negotiate.ts'
import { IceSignalling, type SignalledSession } from '../signalling/session.ts'
import { PublisherStreams } from './publisher-streams.ts'
import { type Layer, VideoInput } from './video-input.ts'

export type WhipOptions = {
  /** SDP offer of the publisher. */
  offer: string
  ice: IceSettings
  /** Video with a decoder; default: all kinds. */
  codecs?: readonly VideoCodec[]
  /** Services of its data channels, if the publisher offers any. */
  channels?: ChannelServices
  /** Whether it may come without video. */
  audioAlone?: boolean
  /** Settles when the publisher gets its answer: from then on it has ten seconds to connect. Default: at once. */
  answered?: Promise<void>
}

export interface WhipSession extends SignalledSession {
  /**
   * The publisher's media, once its tracks are known: with its first keyframe, and its audio if that comes within a
   * second. Source and session end together. Rejects if the session ends before, and with `timeout` if the publisher is
   * connected but sends nothing that can be decoded.
   */
  readonly source: Promise<IngestSource>
}

const TICK_MS = 50
const REPORT_EVERY_MS = 1000
const CHECK_EVERY_MS = 500
/** If the first request was lost, the publisher's own repetition comes soon enough. */
const KEYFRAME_EVERY_MS = 250
const FIRST_PACKET_MS = 5000
/** Publishers that ignore requests send keyframes a few seconds apart. */
const FIRST_KEYFRAME_MS = 15_000
const SOUND_MS = 1000

/** Throws `invalid-request` or `unsupported-media` for an offer that cannot be answered, `capacity` without a port. */
export async function openWhipSession(options: WhipOptions, context: Context): Promise<WhipSession> {
  const { codecs, audioAlone = false } = options
  const agreement = negotiate(parseSdp(options.offer), 'receive', { audioAlone, ...(codecs && { readable: codecs }) })
  const peer = await openPeer(options.ice, agreement.transport, context, options.answered)
  return new Publisher(agreement, peer, 'whip', options.channels)
}

/** Receives media from a peer, agreed by its offer or by its answer to ours. */
export class Publisher implements WhipSession, IngestSource {
  readonly kind: 'whip' | 'whep' | 'livekit'
  readonly answer: string
  readonly connected: Promise<void>
  readonly source: Promise<IngestSource>
  readonly packets: Reader
  readonly #scope = new Scope()
  readonly #agreement: Agreement
  readonly #peer: Peer
  readonly #signalling: IceSignalling
  readonly #broadcast = new Broadcast(() => this.requestKeyframe())
  readonly #streams: PublisherStreams
  readonly #input: VideoInput
  readonly #ssrc = randomInt(1, 2 ** 32 - 1)
  readonly #arrivals = new ArrivalLog(this.#ssrc)
  readonly #ready = Promise.withResolvers<IngestSource>()
  readonly #asked = new Map<number, number>()
  #video: VideoTrack | undefined
  #audio: AudioTrack | undefined
  #videoAt = 0

  constructor(agreement: Agreement, peer: Peer, kind: Publisher['kind'], channels = NO_SERVICES) {
    this.kind = kind
    this.#agreement = agreement
    this.#peer = peer
    this.#signalling = new IceSignalling(agreement, peer)
    this.answer = writeAnswer(agreement, peer.local, new Map(), channels.maxMessageBytes)
    const served = serveChannels(peer, agreement, channels)
    this.connected = peer.connected
    this.source = this.#ready.promise
    this.source.catch(() => {})
    this.#input = new VideoInput({
      onUnit: (unit, layer) => this.#writeVideo(unit, layer),
      requestKeyframe: (ssrc) => this.#askKeyframe(ssrc),
    })
    this.#streams = new PublisherStreams({
      agreement,
      localSsrc: this.#ssrc,
      sendRtcp: (message) => this.#sendRtcp(message),
      onVideoStream: (ssrc, receiver, codec) => this.#input.add(ssrc, receiver, codec),
      onVideoStreamEnd: (ssrc) => {
        this.#input.remove(ssrc)
        this.#asked.delete(ssrc)
      },
      onVideo: (ssrc, packets) => this.#input.push(ssrc, packets, nowMs()),
      onAudio: (receiver, packets) => this.#writeAudio(receiver, packets),
    })
    this.packets = this.#broadcast.subscribe()
    peer.onRtp = (packet) => this.#receive(packet)
    peer.onRtcp = (messages) => {
      for (const message of messages) this.#report(message)
    }
    void peer.closed.then((closed) => this.#scope.end(closed))
    // Immediately, not after the loops: one of them waits for the peer.
    this.#scope.signal.addEventListener('abort', () => peer.close(), { once: true })
    this.#scope.use(peer)
    this.#scope.defer(() => served?.close())
    this.#scope.defer(() => this.#streams.close())
    this.#scope.defer(() => this.#broadcast.end())
    this.#scope.spawn((signal) => this.#run(signal))
    void this.closed.then(({ error }) => {
      this.#ready.reject(error ?? new AppError('peer-failed', 'the publisher left before its media was known'))
    })
  }

  get id(): string {
    return this.#signalling.id
  }

  get etag(): string {
    return this.#signalling.etag
  }

  get tracks(): readonly Track[] {
    return [this.#video, this.#audio].filter((track) => track !== undefined)
  }

  get closed(): Promise<Closed> {
    return this.#scope.closed
  }

  patch(fragment: string): { restarted: string | undefined } {
    return this.#signalling.patch(fragment)
  }

  requestKeyframe(): void {
    this.#input.requestKeyframe()
  }

  stats(): IngestStats {
    return this.#streams.stats()
  }

  close(): Promise<Closed> {
    return this.#scope.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #run(signal: AbortSignal): Promise<Closed> {
    await this.connected
    const connectedAt = nowMs()
    let reportedAt = connectedAt
    let checkedAt = connectedAt
    for (;;) {
      await sleep(TICK_MS, signal)
      const now = nowMs()
      this.#sendArrivals()
      if (now - reportedAt >= REPORT_EVERY_MS) {
        reportedAt = now
        this.#sendReports()
      }
      if (now - checkedAt >= CHECK_EVERY_MS) {
        checkedAt = now
        this.#input.check(now)
      }
      const error = this.#open(now - connectedAt, now)
      if (error) return { why: 'failed', error }
    }
  }

  /** Opens the source once possible; returns the reason if it never will be. */
  #open(sinceConnectedMs: number, now: number): AppError | undefined {
    const agreed = (wanted: Track['kind']) => this.#agreement.media.some(({ kind }) => kind === wanted)
    // LiveKit announces microphones that are muted too.
    const waitsForAudio = !this.#audio && agreed('audio') && this.kind !== 'livekit'
    if (this.#audio && !agreed('video')) this.#ready.resolve(this)
    else if (this.#video) {
      if (!waitsForAudio || now - this.#videoAt >= SOUND_MS) this.#ready.resolve(this)
    } else if (!this.#streams.heard && sinceConnectedMs >= FIRST_PACKET_MS) {
      return new AppError('timeout', `the publisher sent no media within ${FIRST_PACKET_MS} ms`, { retryable: true })
    } else if (sinceConnectedMs >= FIRST_KEYFRAME_MS) {
      return new AppError('timeout', `the publisher sent no video keyframe within ${FIRST_KEYFRAME_MS} ms`)
    }
    return
  }

  #receive(packet: RtpPacket): void {
    const id = this.#agreement.media[0]!.extensions.get(EXTENSIONS.transportSequence)?.id
    const sequence = id === undefined ? undefined : extensionElement(packet, id)
    if (sequence?.length === 2) this.#arrivals.add((sequence[0]! << 8) | sequence[1]!, nowMs())
    this.#streams.push(packet)
  }

  #report(message: RtcpMessage): void {
    if (message.kind === 'sender-report') this.#streams.reported(message)
  }

  #writeVideo({ data, timestamp, key, size }: VideoUnit, { codec, receiver }: Layer): void {
    const track = this.#video
    if (!track) this.#videoAt = nowMs()
    const sameSize = !size || (size.width === track?.width && size.height === track.height)
    if (!track || track.codec !== codec || !sameSize) this.#video = { id: 'video', kind: 'video', codec, ...size }
    this.#broadcast.write({ track: this.#video!, data, pts: receiver.clock.pts(timestamp, nowMs()), key })
  }

  #writeAudio({ clock }: RtpReceiver, packets: readonly OrderedPacket[]): void {
    this.#audio ??= { id: 'audio', kind: 'audio', codec: 'opus', sampleRate: 48_000, channels: 2 }
    const track = this.#audio
    for (const { packet } of packets) {
      if (packet.payload.length === 0) continue
      const data = new Uint8Array(packet.payload)
      const unit: EncodedPacket = { track, data, pts: clock.pts(packet.timestamp, nowMs()), key: true }
      this.#broadcast.write(unit)
    }
  }

  #askKeyframe(ssrc: number): void {
    const now = nowMs()
    if (now - (this.#asked.get(ssrc) ?? Number.NEGATIVE_INFINITY) < KEYFRAME_EVERY_MS) return
    this.#asked.set(ssrc, now)
    this.#sendRtcp(writePictureLoss(this.#ssrc, ssrc))
  }

  /**
   * A compound begins with a report, if only an empty one (RFC 3550 §6.1), unless reduced size was agreed; then it must
   * not, because ffmpeg understands a NACK only when it stands alone.
   */
  #sendRtcp(message: Buffer): void {
    const reduced = this.#agreement.media.every(({ kind, reducedSize }) => reducedSize || kind === 'audio')
    this.#peer.sendRtcp(reduced ? [message] : [writeReceiverReport(this.#ssrc, []), message])
  }

  #sendReports(): void {
    const reports = this.#streams.receivers
      .map((receiver) => receiver.report())
      .filter((report) => report !== undefined)
    if (reports.length > 0) this.#peer.sendRtcp([writeReceiverReport(this.#ssrc, reports)])
  }

  #sendArrivals(): void {
    const feedback = this.#arrivals.takeFeedback(this.#input.selected?.ssrc ?? 0)
    if (feedback) this.#sendRtcp(feedback)
  }
}
