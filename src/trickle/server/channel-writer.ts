import type { SegmentWriter } from '../publication.ts'
import type { TrickleCounters } from './counters.ts'
import type { Segment } from './segment.ts'

/** The part of a channel that a writer needs. */
export type WrittenChannel = {
  readonly options: { readonly segmentBytes: number }
  readonly counters: TrickleCounters
  /** The head is at this segment now. */
  advance(segment: Segment): void
  grew(segment: Segment, bytes: number): void
  /** False if the server can hold no more. */
  room(bytes: number): boolean
}

/** One publisher's access to one segment of a channel of this server. */
export class ChannelWriter implements SegmentWriter {
  readonly segment: Segment
  /** Bytes of this writer that were stored. */
  bytes = 0
  /** True if the segment was cut because it was too long. */
  oversized = false
  /** True if it was cut because the server can hold no more. */
  refused = false
  readonly #channel: WrittenChannel
  readonly #stored = Promise.withResolvers<boolean>()
  #done = false

  constructor(channel: WrittenChannel, segment: Segment) {
    this.#channel = channel
    this.segment = segment
    segment.writers++
  }

  get seq(): number {
    return this.segment.seq
  }

  get stored(): Promise<boolean> {
    return this.#stored.promise
  }

  /** False if the segment is closed, by this writer or by anyone else, or was too long. */
  write(chunk: Uint8Array): boolean {
    const { segment } = this
    if (this.#done || segment.closed) return false
    if (segment.bytes + chunk.length > this.#channel.options.segmentBytes) {
      this.oversized = true
      this.#channel.counters.oversized++
      this.#leave(false)
      this.#truncate()
      return false
    }
    if (!this.#channel.room(chunk.length)) {
      this.refused = true
      this.#leave(false)
      // A publisher may retry a segment that is still empty.
      if (segment.bytes > 0) this.#truncate()
      else segment.close()
      return false
    }
    // The head moves before readers wake, so that they see it moved.
    if (this.bytes === 0 && chunk.length > 0) this.#channel.advance(segment)
    this.bytes += chunk.length
    segment.append(chunk)
    this.#channel.grew(segment, chunk.length)
    return true
  }

  close(): void {
    if (this.#done) return
    const { segment } = this
    const whole = !segment.closed
    this.#leave(whole)
    if (!whole) return
    if (this.bytes === 0) {
      // Another publisher may be about to write, or be writing, what this one left empty.
      if (segment.writers > 0) return
      this.#channel.advance(segment)
    }
    this.#channel.counters.segments++
    segment.close()
  }

  /** Without a byte written nothing has happened: the publisher may return and write this segment. */
  abort(): void {
    if (this.#done) return
    const { segment } = this
    this.#leave(false)
    if (segment.closed || segment.writers > 0 || segment.bytes === 0) return
    this.#truncate()
  }

  #truncate(): void {
    this.segment.truncated = true
    this.#channel.counters.truncated++
    this.segment.close()
  }

  #leave(whole: boolean): void {
    this.#done = true
    this.segment.writers--
    this.#stored.resolve(whole)
  }
}
