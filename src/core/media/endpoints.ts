import type { Resource } from '../resource.ts'
import type { EncodedPacket, Track } from './packet.ts'

export type IngestKind = 'mpegts' | 'trickle' | 'whip'

export type IngestStats = {
  /** Bytes received from the publisher since it came. */
  bytes: number
  /** Packets of the transport that never arrived, or arrived damaged. */
  lost: number
}

/** What every protocol that brings a stream in fills. */
export interface IngestSource extends Resource {
  readonly kind: IngestKind
  /** Known when the source is open; a codec or size that changes later arrives as a new `Track` on the packets. */
  readonly tracks: readonly Track[]
  /** Consumed once. Ends when the publisher ends. */
  readonly packets: AsyncIterable<EncodedPacket>
  /** Asks the publisher for a keyframe, where its protocol can. */
  requestKeyframe(): void
  stats(): IngestStats
}

export type EgressStats = {
  /** Bytes sent since the sink was opened. */
  bytes: number
  /** Packets this reader lost because it was too slow. */
  dropped: number
}

/** What every protocol that takes a stream out fills. */
export interface EgressSink extends Resource {
  stats(): EgressStats
}
