import type { Closed } from '../../core/resource.ts'
import type { Publication, PublicationStats, SegmentWriter } from '../../trickle/publication.ts'
import type { IncomingSegment, Subscription } from '../../trickle/subscription.ts'

/** A subscription that reports arriving bytes and the end of a segment. */
export class WatchedSubscription implements Subscription {
  readonly #inner: Subscription
  readonly #onBytes: () => void
  readonly #onSegment: () => void

  constructor(inner: Subscription, onBytes: () => void, onSegment: () => void) {
    this.#inner = inner
    this.#onBytes = onBytes
    this.#onSegment = onSegment
  }

  get closed(): Promise<Closed> {
    return this.#inner.closed
  }

  get missed(): number {
    return this.#inner.missed
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<IncomingSegment> {
    for await (const segment of this.#inner) yield { ...segment, bytes: this.#read(segment.bytes) }
  }

  async *#read(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of bytes) {
      this.#onBytes()
      yield chunk
    }
    this.#onSegment()
  }

  close(): Promise<Closed> {
    return this.#inner.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

/** A publication that reports its first bytes. */
export class WatchedPublication implements Publication {
  readonly #inner: Publication
  readonly #onFirst: () => void
  #begun = false

  constructor(inner: Publication, onFirst: () => void) {
    this.#inner = inner
    this.#onFirst = onFirst
  }

  get closed(): Promise<Closed> {
    return this.#inner.closed
  }

  open(): SegmentWriter {
    const writer = this.#inner.open()
    if (this.#begun) return writer
    return {
      seq: writer.seq,
      stored: writer.stored,
      write: (chunk) => {
        const taken = writer.write(chunk)
        if (taken && !this.#begun) {
          this.#begun = true
          this.#onFirst()
        }
        return taken
      },
      close: () => writer.close(),
      abort: () => writer.abort(),
    }
  }

  stats(): PublicationStats {
    return this.#inner.stats()
  }

  close(): Promise<Closed> {
    return this.#inner.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}
