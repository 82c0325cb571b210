import { nowMs } from '../../core/clock.ts'
import { ChannelWriter } from './channel-writer.ts'
import { newCounters, type TrickleCounters } from './counters.ts'
import { Segment } from './segment.ts'

export type ChannelOptions = {
  /** Segments kept for late readers; at least 2. */
  ringSegments?: number
  /** Bytes kept for late readers; the newest segment is kept whatever its size. */
  ringBytes?: number
  /** Longest segment in bytes; a longer one is cut. */
  segmentBytes?: number
  /** `-N` starts with N > 2. */
  replay?: boolean
  /** A publisher that begins at 0 again, when none is connected any more, starts the channel over, as by a reset. */
  restart?: boolean
  /** The head follows every first byte, also backwards, as the original's does. */
  strict?: boolean
}

export const CHANNEL_DEFAULTS = {
  ringSegments: 64,
  ringBytes: 32 * 1024 * 1024,
  segmentBytes: 10_000_000,
  replay: true,
  restart: true,
  strict: false,
} as const satisfies Required<ChannelOptions>

/** Segments that nobody writes are closed when the head is this far past them: the depth of the original's ring. */
const ORPHAN_DISTANCE = 5
/** Nearer to the head, segment 0 may be posted again by a publisher that missed the answer. */
const RESTART_DISTANCE = 5

/** Where a read request landed: `segment` is absent when it cannot be served. */
export type Located = { seq: number; segment?: Segment }

/** A named sequence of numbered segments in memory: a bounded ring of them, many writers, many readers. */
export class Channel {
  readonly name: string
  /** Mime type of its segments. */
  readonly mime: string
  readonly options: Required<ChannelOptions>
  readonly counters: TrickleCounters
  readonly #segments = new Map<number, Segment>()
  readonly #closeListeners = new Set<() => void>()
  #head = 0
  #bytes = 0
  #beganAtZero = false
  #lastWriteMs = nowMs()
  #closed = false

  constructor(name: string, mime: string, options: ChannelOptions = {}, counters = newCounters()) {
    this.name = name
    this.mime = mime
    this.options = { ...CHANNEL_DEFAULTS, ...options }
    this.counters = counters
  }

  /** How often its numbers began anew. */
  resets = 0

  /** The number of the next segment to begin. */
  get head(): number {
    return this.#head
  }

  get closed(): boolean {
    return this.#closed
  }

  /** Milliseconds since the last byte came, or since its creation. */
  get idleMs(): number {
    return nowMs() - this.#lastWriteMs
  }

  /** Bytes its ring holds. */
  get bytes(): number {
    return this.#bytes
  }

  /**
   * Opens segment `requested` for writing; `-1` is the head. An open one is joined, a closed one stays closed.
   * `reset` closes every older segment and makes it the head, also backwards.
   */
  open(requested = -1, reset = false): ChannelWriter {
    const seq = requested === -1 ? this.#head : requested
    if (reset || (seq === 0 && this.#abandoned())) this.#reset(seq)
    const segment = this.#closed ? closedSegment(seq) : (this.#segments.get(seq) ?? this.#add(seq))
    return new ChannelWriter(this, segment)
  }

  /** The segment for a read request; creates the one that is to begin next, so that a reader can wait for it. */
  locate(requested: number): Located {
    const seq = this.#resolve(requested)
    // A reader of segment 0 asks for 1 while it waits, before the publisher wrote anything.
    const awaited = seq === this.#head || (this.#head === 0 && seq === 1)
    const segment = this.#segments.get(seq) ?? (awaited && !this.#closed ? this.#add(seq) : undefined)
    return segment ? { seq, segment } : { seq }
  }

  /** Closes one segment; false when the ring does not hold it. */
  cut(seq: number): boolean {
    const segment = this.#segments.get(seq)
    if (!segment) return false
    // Else a reader of the closed segment would be sent back to it again and again.
    this.advance(segment)
    this.#end(segment)
    return true
  }

  /** Ends every segment: readers and waiting publishers are woken. Twice is once. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    for (const segment of this.#segments.values()) this.#end(segment)
    for (const listener of this.#closeListeners) listener()
    this.#closeListeners.clear()
  }

  /** `listener` is called at the close, now when it is closed, unless the returned function was called before. */
  onClose(listener: () => void): () => void {
    if (this.#closed) listener()
    else this.#closeListeners.add(listener)
    return () => this.#closeListeners.delete(listener)
  }

  /** A writer's first byte, or its end without one. */
  advance(segment: Segment): void {
    const head = segment.seq + 1
    if (segment.seq === 0) this.#beganAtZero = true
    this.#head = this.options.strict ? head : Math.max(this.#head, head)
    this.#lastWriteMs = nowMs()
    for (const waiting of this.#segments.values()) {
      if (waiting.seq < this.#head - ORPHAN_DISTANCE && waiting.fresh && waiting.writers === 0) waiting.close()
    }
  }

  /** A writer's bytes were stored in `segment`. */
  grew(segment: Segment, bytes: number): void {
    this.#lastWriteMs = nowMs()
    this.counters.bytesIn += bytes
    if (this.#segments.get(segment.seq) !== segment) return
    this.#bytes += bytes
    this.#trim(segment)
  }

  /** True when a publisher began at 0, came far, and is gone. */
  #abandoned(): boolean {
    const { restart, strict } = this.options
    if (!restart || strict || !this.#beganAtZero || this.#head <= RESTART_DISTANCE) return false
    return this.#segments.values().every((segment) => segment.writers === 0)
  }

  #resolve(requested: number): number {
    if (requested >= 0) return requested
    const seq = Math.max(0, this.#head + requested + 1)
    if (requested >= -2) return seq
    // What the ring no longer holds cannot be replayed: begin with the oldest it holds.
    let oldest = this.#head
    for (const held of this.#segments.keys()) if (held >= seq && held < oldest) oldest = held
    return oldest
  }

  #add(seq: number): Segment {
    const segment = new Segment(seq)
    this.#segments.set(seq, segment)
    this.#trim(segment)
    return segment
  }

  /** Lets the oldest segments go, never `newest`. */
  #trim(newest: Segment): void {
    while (this.#segments.size > this.options.ringSegments || this.#bytes > this.options.ringBytes) {
      let oldest: Segment | undefined
      for (const segment of this.#segments.values()) {
        if (segment !== newest && (!oldest || segment.seq < oldest.seq)) oldest = segment
      }
      if (!oldest) return
      this.#end(oldest)
      this.#forget(oldest)
    }
  }

  /** Only what is open at `seq`, and later segments that wait for their first byte, outlive it. */
  #reset(seq: number): void {
    if (seq < this.#head) this.resets++
    this.#head = seq
    for (const segment of [...this.#segments.values()]) {
      if (segment.seq < seq) this.#end(segment)
      else if (segment.seq === seq && !segment.closed) this.#head = segment.fresh ? seq : seq + 1
      else if (!segment.fresh || segment.writers === 0) {
        // Numbers are used again: what is left of the time before must not stand in the way, nor anyone wait there.
        this.#end(segment)
        this.#forget(segment)
      }
    }
  }

  #end(segment: Segment): void {
    if (segment.closed) return
    if (segment.bytes > 0) {
      segment.truncated = true
      this.counters.truncated++
    }
    segment.close()
  }

  #forget(segment: Segment): void {
    this.#segments.delete(segment.seq)
    this.#bytes -= segment.bytes
  }
}

function closedSegment(seq: number): Segment {
  const segment = new Segment(seq)
  segment.close()
  return segment
}
