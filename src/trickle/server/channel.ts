import { nowMs } from '../../core/clock.ts'
import type { AppError } from '../../core/errors.ts'
import { ChannelWriter } from './channel-writer.ts'
import { newCounters, type TrickleCounters } from './counters.ts'
import type { TrickleMemory } from './memory.ts'
import { Segment } from './segment.ts'

export type ChannelOptions = {
  /** Segments kept for late readers; at least 2. */
  ringSegments?: number
  /** Bytes kept for late readers; the newest segment is kept whatever its size. */
  ringBytes?: number
  /** Longest segment in bytes; a longer one is cut. */
  segmentBytes?: number
  /** Permits starting at `-N` with N > 2. */
  replay?: boolean
  /** A publisher that begins at 0 again while none is connected restarts the channel, like a reset. */
  restart?: boolean
  /** The head follows every first byte, also backwards, as in the original. */
  strict?: boolean
}

const CHANNEL_DEFAULTS = {
  ringSegments: 64,
  ringBytes: 32 * 1024 * 1024,
  segmentBytes: 10_000_000,
  replay: true,
  restart: true,
  strict: false,
} as const satisfies Required<ChannelOptions>

/** Segments without a writer are closed once the head is this far past them: the size of the original's ring. */
const ORPHAN_DISTANCE = 5
/** Nearer to the head, segment 0 may be a retry by a publisher that missed the answer. */
const RESTART_DISTANCE = 5

/** The segment of a read request; `segment` is undefined if it cannot be served. */
export type Located = { seq: number; segment?: Segment }

/** A named sequence of numbered segments in memory: a bounded ring, many writers, many readers. */
export class Channel {
  readonly name: string
  /** MIME type of its segments. */
  readonly mime: string
  readonly options: Required<ChannelOptions>
  readonly counters: TrickleCounters
  /** Settles when it is known whether its creator may publish; never rejects. Undefined if nobody has to be asked. */
  admission: Promise<void> | undefined
  readonly #memory: TrickleMemory | undefined
  readonly #segments = new Map<number, Segment>()
  readonly #closeListeners = new Set<() => void>()
  #head = 0
  #bytes = 0
  #beganAtZero = false
  #lastWriteMs = nowMs()
  #closed = false
  #refusal: AppError | undefined

  constructor(
    name: string,
    mime: string,
    options: ChannelOptions = {},
    counters = newCounters(),
    memory?: TrickleMemory,
  ) {
    this.name = name
    this.mime = mime
    this.options = { ...CHANNEL_DEFAULTS, ...options }
    this.counters = counters
    this.#memory = memory
    memory?.join(this)
  }

  /** How often numbering restarted. */
  resets = 0

  /** The number of the next segment. */
  get head(): number {
    return this.#head
  }

  get closed(): boolean {
    return this.#closed
  }

  /** Why nobody may publish here: the reason it was closed with. */
  get refusal(): AppError | undefined {
    return this.#refusal
  }

  /** Milliseconds since the last byte, or since its creation. */
  get idleMs(): number {
    return nowMs() - this.#lastWriteMs
  }

  /** Bytes in its ring. */
  get bytes(): number {
    return this.#bytes
  }

  /**
   * Opens segment `requested` for writing; `-1` is the head. An open segment is joined, a closed one stays closed.
   * `reset` closes every older segment and moves the head here, also backwards.
   */
  open(requested = -1, reset = false): ChannelWriter {
    const seq = requested === -1 ? this.#head : requested
    if (reset || (seq === 0 && this.#abandoned())) this.#reset(seq)
    const segment = this.#closed ? closedSegment(seq) : (this.#segments.get(seq) ?? this.#add(seq))
    return new ChannelWriter(this, segment)
  }

  /** The segment of a read request; creates the next one, so that a reader can wait for it. */
  locate(requested: number): Located {
    const seq = this.#resolve(requested)
    // A reader of segment 0 requests 1 in advance, before the publisher wrote anything.
    const awaited = seq === this.#head || (this.#head === 0 && seq === 1)
    const segment = this.#segments.get(seq) ?? (awaited && !this.#closed ? this.#add(seq) : undefined)
    return segment ? { seq, segment } : { seq }
  }

  /** Closes one segment; false if the ring does not have it. */
  cut(seq: number): boolean {
    const segment = this.#segments.get(seq)
    if (!segment) return false
    // Otherwise a reader of the closed segment would be sent back to it repeatedly.
    this.advance(segment)
    this.#end(segment)
    return true
  }

  /**
   * Ends every segment: readers and waiting publishers are woken, the latter with a `refusal`. Calling it twice has no
   * further effect.
   */
  close(refusal?: AppError): void {
    if (this.#closed) return
    this.#closed = true
    this.#refusal = refusal
    for (const segment of this.#segments.values()) this.#end(segment)
    this.#memory?.leave(this)
    for (const listener of this.#closeListeners) listener()
    this.#closeListeners.clear()
  }

  /** Calls `listener` on close, immediately if it is closed, unless the returned function was called before. */
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
    this.#memory?.changed(this, bytes)
    this.#trim(segment)
  }

  /** False if the server's channels hold as many bytes as permitted, and none can be dropped. */
  room(bytes: number): boolean {
    return this.#memory?.room(bytes) ?? true
  }

  dropOldest(): number {
    let oldest: Segment | undefined
    let newest = -1
    for (const { seq, bytes } of this.#segments.values()) if (bytes > 0 && seq > newest) newest = seq
    for (const segment of this.#segments.values()) {
      const droppable = segment.closed && segment.bytes > 0 && segment.seq !== newest
      if (droppable && (!oldest || segment.seq < oldest.seq)) oldest = segment
    }
    if (!oldest) return 0
    this.#forget(oldest)
    return oldest.bytes
  }

  /** True if a publisher that began at 0 is gone after many segments. */
  #abandoned(): boolean {
    const { restart, strict } = this.options
    if (!restart || strict || !this.#beganAtZero || this.#head <= RESTART_DISTANCE) return false
    return this.#segments.values().every((segment) => segment.writers === 0)
  }

  #resolve(requested: number): number {
    if (requested >= 0) return requested
    const seq = Math.max(0, this.#head + requested + 1)
    if (requested >= -2) return seq
    // Segments that the ring no longer has cannot be replayed: begins with the oldest one.
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

  /** Drops the oldest segments, never `newest`. */
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

  /** Only the open segment at `seq`, and later ones that wait for their first byte, remain. */
  #reset(seq: number): void {
    if (seq < this.#head) this.resets++
    this.#head = seq
    for (const segment of [...this.#segments.values()]) {
      if (segment.seq < seq) this.#end(segment)
      else if (segment.seq === seq && !segment.closed) this.#head = segment.fresh ? seq : seq + 1
      else if (!segment.fresh || segment.writers === 0) {
        // Numbers are reused: older segments must not be in the way, and nobody may wait for them.
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
    this.#memory?.changed(this, -segment.bytes)
  }
}

function closedSegment(seq: number): Segment {
  const segment = new Segment(seq)
  segment.close()
  return segment
}
