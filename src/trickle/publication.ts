import type { Resource } from '../core/resource.ts'

/** One segment being written to a channel, here or on another server. */
export interface SegmentWriter {
  readonly seq: number
  /** Passes bytes on at once and never waits. False: the segment is closed or was aborted, and these bytes are lost. */
  write(chunk: Uint8Array): boolean
  /** Completes the segment; calling it twice has no further effect. */
  close(): void
  /** Aborts the segment: readers get what was written so far. */
  abort(): void
  /** Settles when its outcome is known; true if all of it was taken. Never rejects. */
  readonly stored: Promise<boolean>
}

export type PublicationStats = {
  /** Segments taken completely. */
  segments: number
  /** Bytes passed on. */
  bytes: number
  /** Segments lost, completely or in part, because the other side was slow, refused them or disconnected. */
  dropped: number
}

/** A publisher of one channel, here or on another server. */
export interface Publication extends Resource {
  /** Begins the next segment. Never waits: what cannot be sent is dropped and counted. */
  open(): SegmentWriter
  stats(): PublicationStats
}
