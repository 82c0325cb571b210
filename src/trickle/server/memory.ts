import type { TrickleCounters } from './counters.ts'

/** The part of a channel that concerns its memory. */
export type HoldingChannel = {
  /** Milliseconds since its last byte. */
  readonly idleMs: number
  readonly bytes: number
  /** Drops its oldest closed segment that is not the newest; returns its bytes, 0 if there is none. */
  dropOldest(): number
}

/** Limits the bytes of all channels of a server: beyond the limit the idlest channels lose their oldest segments. */
export class TrickleMemory {
  readonly maxBytes: number
  readonly #counters: TrickleCounters
  readonly #channels = new Set<HoldingChannel>()
  #bytes = 0

  constructor(maxBytes: number, counters: TrickleCounters) {
    this.maxBytes = maxBytes
    this.#counters = counters
  }

  get bytes(): number {
    return this.#bytes
  }

  join(channel: HoldingChannel): void {
    this.#channels.add(channel)
  }

  /** The channel is gone, with all its bytes. */
  leave(channel: HoldingChannel): void {
    if (this.#channels.delete(channel)) this.#bytes -= channel.bytes
  }

  /** The channel holds `bytes` more, or fewer. */
  changed(channel: HoldingChannel, bytes: number): void {
    if (this.#channels.has(channel)) this.#bytes += bytes
  }

  /** Makes room. False, and counted, if only newest and unfinished segments are left. */
  room(bytes: number): boolean {
    if (this.#bytes + bytes <= this.maxBytes) return true
    const idlest = [...this.#channels].sort((a, b) => b.idleMs - a.idleMs)
    for (const channel of idlest) {
      while (channel.dropOldest() > 0) {
        this.#counters.evicted++
        if (this.#bytes + bytes <= this.maxBytes) return true
      }
    }
    this.#counters.refused++
    return false
  }
}
