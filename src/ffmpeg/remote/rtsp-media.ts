// RFC 2326 §10.12: the media of an RTSP connection.
// Bound: that of the depacketizers, for one video and one audio stream; other packets are ignored.
import { plainBytes } from '../../codec/bytes.ts'
import { type AacFormat, AacFrames, aacFormat } from '../../codec/rtp/aac.ts'
import { parseRtp, type RtpPacket, sequenceDistance } from '../../codec/rtp/packet.ts'
import { PublisherClock, type StreamClock } from '../../codec/rtp/publisher-clock.ts'
import { parseRtcp } from '../../codec/rtp/rtcp.ts'
import { VideoUnits } from '../../codec/rtp/video-units.ts'
import { h264Mode, h264ParameterSets, h265ParameterSets, type RtpCodec } from '../../codec/sdp/media.ts'
import { nowMs } from '../../core/clock.ts'
import type { AudioTrack, EncodedPacket, VideoTrack } from '../../core/media/packet.ts'
import type { RtspTrack } from './rtsp-session.ts'

type Stream = {
  payloadType: number
  clock: StreamClock
  clockRate: number
  begins: number | undefined
  expected: number | undefined
  read(packet: RtpPacket, lostBefore: number): void
}

/** A start time further than this from the first packet is ignored; in seconds. */
const NEAR_BEGINNING_S = 2
/** A larger gap in sequence numbers is a restart of the server. */
const MAX_LOST = 2000

/**
 * The RTP packets of an RTSP connection as access units, each once its last packet has arrived. ffmpeg's parser detects the end
 * of a frame by the start of the next one, and so adds a frame interval.
 */
export class RtspMedia {
  bytes = 0
  readonly video: 'h264' | 'hevc'
  readonly audio: 'aac' | 'opus' | undefined
  readonly #onPacket: (packet: EncodedPacket) => void
  readonly #streams = new Map<number, Stream>()
  readonly #reports = new Map<number, Stream>()
  readonly #units: VideoUnits
  #track: VideoTrack
  #lost = 0

  /** Whether it can read these: H.264 or H.265, and audio in AAC or Opus if any. */
  static reads(tracks: readonly RtspTrack[]): boolean {
    return (
      videoOf(tracks) !== undefined && tracks.every((track) => track.kind !== 'audio' || audioOf(track) !== undefined)
    )
  }

  /** `tracks` must be readable. */
  constructor(tracks: readonly RtspTrack[], onPacket: (packet: EncodedPacket) => void) {
    this.#onPacket = onPacket
    const clock = new PublisherClock()
    const { track: video, codec } = videoOf(tracks)!
    this.video = codec.name === 'h265' ? 'hevc' : 'h264'
    const sets = this.video === 'hevc' ? h265ParameterSets(codec) : h264ParameterSets(codec)
    this.#units = new VideoUnits(this.video, sets)
    this.#track = { id: 'video', kind: 'video', codec: this.video }
    this.#add(
      video,
      codec,
      clock.stream(codec.clockRate, true),
      (stream) => (packet, lostBefore) => this.#readVideo(packet, lostBefore, stream),
    )
    const audio = tracks.find(({ kind }) => kind === 'audio')
    const heard = audio && audioOf(audio)
    this.audio = heard?.track.codec as 'aac' | 'opus' | undefined
    if (audio && heard) {
      this.#add(audio, heard.codec, clock.stream(heard.codec.clockRate, false), (stream) =>
        heard.reader(stream, onPacket),
      )
    }
  }

  /** Lost packets and damaged frames. */
  get lost(): number {
    return this.#lost + this.#units.dropped
  }

  push(channel: number, data: Buffer): void {
    this.bytes += data.length
    const stream = this.#streams.get(channel)
    if (!stream) {
      this.#report(channel, data)
      return
    }
    const packet = parseRtp(data)
    if (packet?.payloadType !== stream.payloadType) return
    const distance = stream.expected === undefined ? 0 : sequenceDistance(stream.expected, packet.sequence)
    if (distance < 0 && distance > -MAX_LOST) return
    const lostBefore = Math.abs(distance) < MAX_LOST ? distance : 1
    if (stream.expected === undefined) begin(stream, packet)
    stream.expected = (packet.sequence + 1) & 0xffff
    this.#lost += lostBefore
    stream.read(packet, lostBefore)
  }

  #add(track: RtspTrack, codec: RtpCodec, clock: StreamClock, reader: (stream: Stream) => Stream['read']): void {
    const { payloadType, clockRate } = codec
    const { begins, channels } = track
    const stream: Stream = { payloadType, clock, clockRate, begins, expected: undefined, read: () => {} }
    stream.read = reader(stream)
    this.#streams.set(channels.rtp, stream)
    if (channels.rtcp !== undefined) this.#reports.set(channels.rtcp, stream)
  }

  #readVideo(packet: RtpPacket, lostBefore: number, { clock }: Stream): void {
    for (const { data, timestamp, key, size } of this.#units.push({ packet, lostBefore })) {
      const { width, height } = this.#track
      if (size && (size.width !== width || size.height !== height)) this.#track = { ...this.#track, ...size }
      this.#onPacket({ track: this.#track, data, pts: clock.pts(timestamp, nowMs()), key })
    }
  }

  #report(channel: number, data: Buffer): void {
    const stream = this.#reports.get(channel)
    if (!stream) return
    for (const message of parseRtcp(data)) {
      if (message.kind === 'sender-report') stream.clock.report(message.ntp, message.timestamp)
    }
  }
}

/** Uses the server's start time if it is plausible. */
function begin({ clock, clockRate, begins }: Stream, { timestamp }: RtpPacket): void {
  if (begins !== undefined && Math.abs((timestamp - begins) | 0) < NEAR_BEGINNING_S * clockRate) clock.begin(begins)
}

function videoOf(tracks: readonly RtspTrack[]): { track: RtspTrack; codec: RtpCodec } | undefined {
  const track = tracks.find(({ kind }) => kind === 'video')
  const codec = track?.codec
  if (!track || codec?.clockRate !== 90_000) return undefined
  const { name, parameters } = codec
  // Interleaved modes send units out of order.
  const plain =
    name === 'h264' ? h264Mode(codec) < 2 : name === 'h265' && Number(parameters['sprop-max-don-diff'] ?? 0) === 0
  return plain ? { track, codec } : undefined
}

type Heard = {
  track: AudioTrack
  codec: RtpCodec
  reader(stream: Stream, onPacket: (packet: EncodedPacket) => void): Stream['read']
}

function audioOf({ codec }: RtspTrack): Heard | undefined {
  if (codec?.name === 'opus') return opus(codec)
  const format = codec?.name === 'mpeg4-generic' ? aacFormat(codec.parameters) : undefined
  return codec && format && format.sampleRate === codec.clockRate ? aac(codec, format) : undefined
}

function opus(codec: RtpCodec): Heard {
  const track: AudioTrack = { id: 'audio', kind: 'audio', codec: 'opus', sampleRate: 48_000, channels: 2 }
  return {
    track,
    codec,
    reader:
      ({ clock }, onPacket) =>
      ({ payload: data, timestamp }) => {
        if (data.length > 0) onPacket({ track, data: plainBytes(data), pts: clock.pts(timestamp, nowMs()), key: true })
      },
  }
}

function aac(codec: RtpCodec, format: AacFormat): Heard {
  const { sampleRate, channels } = format
  const track: AudioTrack = { id: 'audio', kind: 'audio', codec: 'aac', sampleRate, channels }
  return {
    track,
    codec,
    reader: ({ clock }, onPacket) => {
      const frames = new AacFrames(format)
      return (packet, lostBefore) => {
        for (const { data, timestamp } of frames.push({ packet, lostBefore })) {
          onPacket({ track, data, pts: clock.pts(timestamp % 2 ** 32, nowMs()), key: true })
        }
      }
    },
  }
}
