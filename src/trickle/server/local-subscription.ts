import { type Closed, Scope, sleep } from '../../core/resource.ts'
import type { IncomingSegment, Start, Subscription } from '../subscription.ts'
import type { Channel } from './channel.ts'
import type { Segment } from './segment.ts'

/** Reads a channel of this server. Ends when the channel is closed and its remaining segments were read. */
export function subscribeTo(channel: Channel, start: Start = -1, signal?: AbortSignal): Subscription {
  return new LocalSubscription(channel, start, signal)
}

class LocalSubscription implements Subscription {
  readonly closed: Promise<Closed>
  missed = 0
  readonly #channel: Channel
  readonly #scope: Scope
  #next: number
  #resets: number

  constructor(channel: Channel, start: Start, signal?: AbortSignal) {
    this.#channel = channel
    this.#scope = new Scope(signal)
    this.closed = this.#scope.closed
    this.#next = channel.locate(start).seq
    this.#resets = channel.resets
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<IncomingSegment> {
    const { signal } = this.#scope
    try {
      for (;;) {
        const segment = this.#take()
        if (!segment) break
        while (segment.fresh) await segment.changed(signal)
        if (segment.bytes > 0) yield { seq: segment.seq, mime: this.#channel.mime, bytes: this.#read(segment) }
        // In strict mode the head can be before empty segments, and this loop must not spin over them.
        else await sleep(1, signal)
        this.#next = segment.seq + 1
      }
      this.#scope.end({ why: 'ended' })
    } catch (thrown) {
      if (!signal.aborted) throw thrown
    } finally {
      this.#scope.end({ why: 'stopped' })
    }
  }

  /** The next available segment; `undefined` after the end. */
  #take(): Segment | undefined {
    const channel = this.#channel
    const { segment } = channel.locate(this.#next)
    if (segment) return segment
    // The remaining segments of a closed channel are before its head.
    if (channel.closed && this.#next >= channel.head) return undefined
    // If it has fallen behind the ring, or numbering restarted, it continues with the newest segment begun; otherwise
    // with the head.
    const newest = channel.locate(-2)
    const anew = channel.resets !== this.#resets
    this.#resets = channel.resets
    const onward = newest.segment && (anew || newest.seq > this.#next) ? newest.seq : channel.head
    const missed = Math.max(0, onward - this.#next)
    this.missed += missed
    channel.counters.missed += missed
    this.#next = onward
    return channel.locate(onward).segment
  }

  async *#read(segment: Segment): AsyncGenerator<Uint8Array> {
    const { signal } = this.#scope
    try {
      for await (const chunk of segment.read(signal)) {
        this.#channel.counters.bytesOut += chunk.length
        yield chunk
      }
    } catch (thrown) {
      if (!signal.aborted) throw thrown
    }
  }

  close(): Promise<Closed> {
    return this.#scope.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}
