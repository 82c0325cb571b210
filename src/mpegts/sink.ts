import { TsWriter } from '../codec/mpegts/writer.ts'
import type { EncodedPacket } from '../core/media/packet.ts'

/** The transport packets of one access unit. */
export type TsChunk = {
  bytes: Uint8Array
  /** True if a segment begins with these bytes: from here on it can be read without what came before. */
  startsSegment: boolean
}

export type TsSegmentOptions = {
  /** Minimum length of a segment: an earlier keyframe begins no new one. */
  minSegmentMs?: number
  /**
   * Whether there may be no video, as in the input of a publisher of audio: after 2 s without a keyframe it begins
   * without. A stream's output always has video, which may be late.
   */
  audioAlone?: boolean
}

/** After this time without a video keyframe, in ticks of the stream (2 s), audio begins alone. */
const AUDIO_ALONE_TICKS = 180_000
const DEFAULT_SEGMENT_MS = 1000
/** Audio passes around the pipeline and so comes before its frame; limit of packets that wait. */
const MAX_EARLY_AUDIO = 250

/** Packets as one endless transport stream; it begins like `tsSegments`. */
export async function* tsStream(packets: AsyncIterable<EncodedPacket>): AsyncGenerator<Uint8Array> {
  for await (const { bytes } of tsSegments(packets, { minSegmentMs: Number.POSITIVE_INFINITY })) yield bytes
}

/**
 * Packets as transport stream segments that can each be read alone. Every chunk is yielded as soon as its packet came;
 * one that starts a segment ends the previous one. Segments begin at video keyframes, and audio goes into the current
 * segment; of audio alone, any packet may begin one. Packets before the first segment are left out.
 */
export async function* tsSegments(
  packets: AsyncIterable<EncodedPacket>,
  options: TsSegmentOptions = {},
): AsyncGenerator<TsChunk> {
  const { audioAlone = false } = options
  const minTicks = (options.minSegmentMs ?? DEFAULT_SEGMENT_MS) * 90
  const writer = new TsWriter()
  let kind: 'video' | 'audio' | undefined
  let firstAudio: number | undefined
  let segmentStart = 0
  let early: EncodedPacket[] = []
  for await (const packet of packets) {
    const isVideo = packet.track.kind === 'video'
    if (!isVideo) firstAudio ??= packet.pts
    const alone = audioAlone && !isVideo && packet.pts - (firstAudio ?? 0) >= AUDIO_ALONE_TICKS
    const begins = kind === undefined ? packet.key && (isVideo || alone) : kind === 'audio' && isVideo && packet.key
    if (begins) kind = packet.track.kind
    if (kind === undefined && !isVideo && early.push(packet) > MAX_EARLY_AUDIO) early.shift()
    if (kind === undefined || (kind === 'audio' && isVideo)) continue
    const boundary = packet.key && packet.track.kind === kind && Math.abs(packet.pts - segmentStart) >= minTicks
    const startsSegment = begins || boundary
    if (startsSegment) {
      segmentStart = packet.pts
      writer.restart()
    }
    yield { bytes: writer.write(packet), startsSegment }
    if (early.length === 0) continue
    for (const audio of early) {
      if (audio !== packet && audio.pts >= packet.pts) yield { bytes: writer.write(audio), startsSegment: false }
    }
    early = []
  }
}
