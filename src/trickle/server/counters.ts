/** Counters of a server's channels since its start. */
export type TrickleCounters = {
  /** Segments finished by their publishers. */
  segments: number
  bytesIn: number
  /** Bytes sent to readers, counted per reader. */
  bytesOut: number
  /** Segments closed before their publisher had finished them. */
  truncated: number
  /** Segments cut because they were too long. */
  oversized: number
  /** Segments dropped early because all channels together held too many bytes. */
  evicted: number
  /** Writes refused because nothing more could be dropped. */
  refused: number
  /** Segments that slow readers missed. */
  missed: number
  /** Readers disconnected because they did not read. */
  stalled: number
}

export function newCounters(): TrickleCounters {
  return {
    segments: 0,
    bytesIn: 0,
    bytesOut: 0,
    truncated: 0,
    oversized: 0,
    evicted: 0,
    refused: 0,
    missed: 0,
    stalled: 0,
  }
}
