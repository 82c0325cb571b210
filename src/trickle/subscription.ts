import type { Resource } from '../core/resource.ts'

/** Where a reader begins: a number, `-1` the next segment to begin, `-2` the newest begun, `-N` N - 1 before the next. */
export type Start = number

/** One segment on its way in. */
export type IncomingSegment = {
  seq: number
  /** The channel's mime type, empty when the server did not say. */
  mime: string
  /** Consumed at most once, before the next segment is asked for; what is left is thrown away. */
  bytes: AsyncIterable<Uint8Array>
}

/** A reader's side of one channel, here or on another server; iterated once, by one loop. */
export interface Subscription extends Resource, AsyncIterable<IncomingSegment> {
  /** Segments this reader never got because it fell behind, or because they were gone when it came. */
  readonly missed: number
}
