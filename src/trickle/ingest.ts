import type { IngestKind, IngestSource, IngestStats, MissingMedia } from '../core/media/endpoints.ts'
import type { EncodedPacket, Track } from '../core/media/packet.ts'
import type { Closed, Context } from '../core/resource.ts'
import { openTsSource } from '../mpegts/source.ts'
import type { Channel } from './server/channel.ts'
import { subscribeTo } from './server/local-subscription.ts'
import type { Subscription } from './subscription.ts'

export type TrickleIngestOptions = {
  /** A channel of this server, read from its newest segment on, or a subscription, which the ingest then owns. */
  from: { channel: Channel } | { subscription: Subscription }
  /** Time limit until the tracks are known. */
  openTimeoutMs?: number
  /** Number of the program to read; default: the first readable one. */
  program?: number
  /** Also reads a program that lists no video. */
  audioAlone?: boolean
}

/** Reads MPEG-TS segments as one stream. Ends with its channel; rejects like `openTsSource`. */
export async function openTrickleIngest(options: TrickleIngestOptions, context: Context): Promise<IngestSource> {
  const { from, openTimeoutMs, program, audioAlone = false } = options
  const subscription = 'channel' in from ? subscribeTo(from.channel, -2) : from.subscription
  try {
    const bytes = concatenate(subscription)
    const times = openTimeoutMs === undefined ? {} : { openTimeoutMs }
    const which = program === undefined ? {} : { program }
    const source = await openTsSource({ kind: 'trickle', bytes, audioAlone, ...times, ...which }, context)
    return new TrickleIngest(source, subscription)
  } catch (thrown) {
    await subscription.close()
    throw thrown
  }
}

async function* concatenate(subscription: Subscription): AsyncGenerator<Uint8Array> {
  for await (const { bytes } of subscription) yield* bytes
}

class TrickleIngest implements IngestSource {
  readonly kind: IngestKind
  readonly closed: Promise<Closed>
  readonly packets: AsyncIterable<EncodedPacket>
  readonly #source: IngestSource
  readonly #subscription: Subscription

  constructor(source: IngestSource, subscription: Subscription) {
    this.#source = source
    this.#subscription = subscription
    this.kind = source.kind
    this.packets = source.packets
    this.closed = source.closed.then(async (closed) => {
      await subscription.close()
      return closed
    })
  }

  get tracks(): readonly Track[] {
    return this.#source.tracks
  }

  requestKeyframe(): void {
    this.#source.requestKeyframe()
  }

  onMissing(listener: (missing: MissingMedia) => void): void {
    this.#source.onMissing?.(listener)
  }

  /** A missed segment counts as one loss, in addition to packets missing in the transport stream. */
  stats(): IngestStats {
    const stats = this.#source.stats()
    return { ...stats, lost: stats.lost + this.#subscription.missed }
  }

  async close(): Promise<Closed> {
    await this.#source.close()
    return this.closed
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}
