import { TsWriter } from '../codec/mpegts/writer.ts'
import type { EncodedPacket } from '../core/media/packet.ts'

/** The transport packets of one access unit. */
export type TsChunk = {
  bytes: Uint8Array
  /** True when a segment begins with these bytes: they and what follows can be read without what came before. */
  startsSegment: boolean
}

export type TsSegmentOptions = {
  /** A keyframe begins a new segment only when the running one is at least this long. */
  minSegmentMs?: number
}

/** Audio begins alone when no video keyframe came for so long, in ticks of the stream (2 s). */
const AUDIO_ALONE_TICKS = 180_000
const DEFAULT_SEGMENT_MS = 1000
/** Audio goes around the pipeline and so comes before the frame that it belongs to; as many packets of it may wait. */
const MAX_EARLY_AUDIO = 250

/** Packets as one endless transport stream, one run of bytes for each; it begins as `tsSegments` does. */
export async function* tsStream(packets: AsyncIterable<EncodedPacket>): AsyncGenerator<Uint8Array> {
  for await (const { bytes } of tsSegments(packets, { minSegmentMs: Number.POSITIVE_INFINITY })) yield bytes
}

/**
 * Packets as transport stream segments that each can be read alone, while they are made: every chunk is given out as soon
 * as its packet came, and one that starts a segment ends the one before. Segments begin at video keyframes, and audio goes
 * into the segment that is running; a stream of audio alone, which is taken for one after 2 s without a keyframe, begins
 * a segment at any packet. Packets before the first segment are left out.
 */
export async function* tsSegments(
  packets: AsyncIterable<EncodedPacket>,
  options: TsSegmentOptions = {},
): AsyncGenerator<TsChunk> {
  const minTicks = (options.minSegmentMs ?? DEFAULT_SEGMENT_MS) * 90
  const writer = new TsWriter()
  let kind: 'video' | 'audio' | undefined
  let firstAudio: number | undefined
  let segmentStart = 0
  let early: EncodedPacket[] = []
  for await (const packet of packets) {
    const isVideo = packet.track.kind === 'video'
    if (!isVideo) firstAudio ??= packet.pts
    const alone = !isVideo && packet.pts - (firstAudio ?? 0) >= AUDIO_ALONE_TICKS
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
