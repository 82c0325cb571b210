import { type Closed, Scope } from '../../core/resource.ts'
import type { Publication, PublicationStats, SegmentWriter } from '../publication.ts'
import type { Channel } from './channel.ts'
import type { ChannelWriter } from './channel-writer.ts'

/**
 * Publishes to a channel of this server, from its head on. Ends with the channel; closing it ends the current segment
 * and leaves the channel to its owner.
 */
export function publishTo(channel: Channel, signal?: AbortSignal): Publication {
  return new LocalPublication(channel, signal)
}

class LocalPublication implements Publication {
  readonly closed: Promise<Closed>
  readonly #channel: Channel
  readonly #scope: Scope
  readonly #stats: PublicationStats = { segments: 0, bytes: 0, dropped: 0 }
  #writer: ChannelWriter | undefined

  constructor(channel: Channel, signal?: AbortSignal) {
    this.#channel = channel
    this.#scope = new Scope(signal)
    this.closed = this.#scope.closed
    this.#scope.defer(() => this.#writer?.close())
    this.#scope.defer(channel.onClose(() => this.#scope.end({ why: 'ended' })))
  }

  /** Closes the previous segment, so that local segments never interleave. */
  open(): SegmentWriter {
    this.#writer?.close()
    const writer = this.#channel.open()
    this.#writer = writer
    void writer.stored.then((whole) => {
      if (this.#writer === writer) this.#writer = undefined
      this.#stats.bytes += writer.bytes
      if (whole) this.#stats.segments++
      else this.#stats.dropped++
    })
    return writer
  }

  stats(): PublicationStats {
    return { ...this.#stats, bytes: this.#stats.bytes + (this.#writer?.bytes ?? 0) }
  }

  close(): Promise<Closed> {
    return this.#scope.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}
