import type { Resource } from '../resource.ts'
import type { EncodedPacket, Track } from './packet.ts'

export type IngestKind = 'mpegts' | 'trickle' | 'whip' | 'rtsp' | 'rtmp' | 'srt' | 'whep' | 'livekit'

export type IngestStats = {
  /** Bytes received from the publisher since it joined. */
  bytes: number
  /** Transport packets lost or damaged. */
  lost: number
  /** Number of the MPEG-TS program that is read, once known. */
  program?: number
}

/** A kind of media that is missing while the rest continues; `why`, in words, if it is sent in an unsupported form. */
export type MissingMedia = { kind: 'audio' | 'video'; why?: string }

/** Implemented by every ingest protocol. */
export interface IngestSource extends Resource {
  readonly kind: IngestKind
  /** Known when the source is open; a later change of codec or size arrives as a new `Track` on the packets. */
  readonly tracks: readonly Track[]
  /** Consumed once. Ends when the publisher ends. */
  readonly packets: AsyncIterable<EncodedPacket>
  /** Requests a keyframe from the publisher, if the protocol can. */
  requestKeyframe(): void
  /**
   * Calls `listener` when a kind of media stops while the rest continues, immediately if it is missing already. It may
   * return.
   */
  onMissing?(listener: (missing: MissingMedia) => void): void
  stats(): IngestStats
}

export type EgressStats = {
  /** Bytes sent since the sink was opened. */
  bytes: number
  /** Packets lost because this reader was too slow. */
  dropped: number
  /** Network capacity in kbit/s, as far as feedback says; undefined while nothing limits it. */
  availableKbps?: number | undefined
}

/** Implemented by every egress protocol. */
export interface EgressSink extends Resource {
  stats(): EgressStats
}
