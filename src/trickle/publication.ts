import type { Resource } from '../core/resource.ts'

/** One segment being written, into a channel here or on another server. */
export interface SegmentWriter {
  readonly seq: number
  /** Hands bytes on at once and never waits. False: the segment is closed or was given up, and these bytes are lost. */
  write(chunk: Uint8Array): boolean
  /** The segment is complete. Twice is once. */
  close(): void
  /** Gives the segment up: readers get what was written so far. */
  abort(): void
  /** Settles when its fate is known; true when all of it was taken. Never rejects. */
  readonly stored: Promise<boolean>
}

export type PublicationStats = {
  /** Segments that were taken whole. */
  segments: number
  /** Bytes handed on. */
  bytes: number
  /** Segments lost, whole or in part, because the other side was slow, refused them or broke off. */
  dropped: number
}

/** A publisher's side of one channel, here or on another server. */
export interface Publication extends Resource {
  /** Begins the next segment. Never waits: what cannot be sent is dropped and counted. */
  open(): SegmentWriter
  stats(): PublicationStats
}
