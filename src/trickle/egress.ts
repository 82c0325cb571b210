import type { Reader } from '../core/broadcast.ts'
import type { EgressSink, EgressStats } from '../core/media/endpoints.ts'
import { type Closed, type Context, Scope } from '../core/resource.ts'
import { tsSegments } from '../mpegts/sink.ts'
import type { Publication, SegmentWriter } from './publication.ts'
import type { Channel } from './server/channel.ts'
import { publishTo } from './server/local-publication.ts'

export type TrickleEgressOptions = {
  reader: Reader
  /** A channel of this server, or a publication, which the egress then owns. */
  to: { channel: Channel } | { publication: Publication }
  /** Minimum length of a segment: an earlier keyframe begins no new one. */
  minSegmentMs?: number
}

export interface TrickleEgress extends EgressSink {
  /** Segments taken completely. */
  readonly segments: number
}

/**
 * Writes packets as MPEG-TS segments that begin with tables and a keyframe; bytes are sent as packets come. Ends with
 * its reader or its publication; a slow server loses segments and blocks nobody.
 */
export async function openTrickleEgress(options: TrickleEgressOptions, context: Context): Promise<TrickleEgress> {
  return new PublishedSegments(options, context)
}

class PublishedSegments implements TrickleEgress {
  readonly closed: Promise<Closed>
  readonly #reader: Reader
  readonly #publication: Publication
  readonly #scope: Scope

  constructor({ reader, to, minSegmentMs }: TrickleEgressOptions, context: Context) {
    this.#reader = reader
    this.#scope = new Scope(context.signal)
    this.closed = this.#scope.closed
    this.#publication = this.#scope.use('channel' in to ? publishTo(to.channel) : to.publication)
    void this.#publication.closed.then((closed) => this.#scope.end(closed))
    this.#scope.signal.addEventListener('abort', () => reader.end(), { once: true })
    this.#scope.spawn(async () => {
      await this.#run(minSegmentMs)
      return undefined
    })
  }

  get segments(): number {
    return this.#publication.stats().segments
  }

  /** `dropped` counts packets that the reader lost, and segments that the server did not take completely. */
  stats(): EgressStats {
    const { bytes, dropped } = this.#publication.stats()
    return { bytes, dropped: dropped + this.#reader.dropped }
  }

  close(): Promise<Closed> {
    return this.#scope.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #run(minSegmentMs: number | undefined): Promise<void> {
    let writer: SegmentWriter | undefined
    const segments = tsSegments(this.#reader, minSegmentMs === undefined ? {} : { minSegmentMs })
    for await (const { bytes, startsSegment } of segments) {
      if (this.#scope.signal.aborted) break
      if (startsSegment) {
        writer?.close()
        writer = this.#publication.open()
      }
      // After a loss the rest of the segment is discarded, because nothing after the gap can be decoded.
      if (!writer?.write(bytes)) writer?.abort()
    }
    writer?.close()
  }
}
