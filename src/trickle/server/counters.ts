/** What happened to a server's channels since it began; only ever grows. */
export type TrickleCounters = {
  /** Segments finished by their publishers. */
  segments: number
  bytesIn: number
  /** Bytes given to readers, each reader counted. */
  bytesOut: number
  /** Segments closed before their publisher had finished them. */
  truncated: number
  /** Segments cut because they were too long. */
  oversized: number
  /** Segments that readers were told they missed. */
  missed: number
  /** Readers cut off because they took nothing for too long. */
  stalled: number
}

export function newCounters(): TrickleCounters {
  return { segments: 0, bytesIn: 0, bytesOut: 0, truncated: 0, oversized: 0, missed: 0, stalled: 0 }
}
