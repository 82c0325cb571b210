import type { Resource } from '../core/resource.ts'

/** Where a reader begins: a number; `-1` the next segment, `-2` the newest begun, `-N` N - 1 before the next. */
export type Start = number

/** An incoming segment. */
export type IncomingSegment = {
  seq: number
  /** The channel's MIME type; empty if the server did not send one. */
  mime: string
  /** Consumed at most once, before the next segment is requested; the rest is discarded. */
  bytes: AsyncIterable<Uint8Array>
}

/** A reader of one channel, here or on another server; iterated once, by one loop. */
export interface Subscription extends Resource, AsyncIterable<IncomingSegment> {
  /** Segments this reader never got because it fell behind, or because they were gone when it came. */
  readonly missed: number
}
