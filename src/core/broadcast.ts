import type { EncodedPacket, Track } from './media/packet.ts'

export type ReaderOptions = {
  /** Limit of unread packets; beyond it the reader loses its backlog. */
  maxPackets?: number
  /** Limit of unread bytes, likewise. */
  maxBytes?: number
  /** The reader counts its losses itself, not the broadcast. */
  ownLosses?: boolean
}

/**
 * One writer that never waits, many bounded readers. A reader that falls behind loses its backlog, which is counted,
 * and continues at the next video keyframe; other readers are not affected.
 */
export class Broadcast {
  readonly #readers = new Set<Reader>()
  readonly #requestKeyframe: () => void
  readonly #onLastLeft: () => void
  #droppedBefore = 0
  #ended = false

  /**
   * `requestKeyframe` is called when a reader needs one to start or continue; `onLastLeft` when the last reader has
   * left.
   */
  constructor(requestKeyframe: () => void, onLastLeft: () => void = () => {}) {
    this.#requestKeyframe = requestKeyframe
    this.#onLastLeft = onLastLeft
  }

  get readers(): number {
    return this.#readers.size
  }

  /** Packets that slow readers lost, including readers that have left. */
  get dropped(): number {
    let sum = this.#droppedBefore
    for (const reader of this.#readers) if (!reader.ownLosses) sum += reader.dropped
    return sum
  }

  write(packet: EncodedPacket): void {
    let behind = false
    for (const reader of this.#readers) behind = reader.push(packet) || behind
    if (behind) this.#requestKeyframe()
  }

  /** A reader starts at the next video keyframe, which is requested at once. */
  subscribe(options: ReaderOptions = {}): Reader {
    const reader: Reader = new Reader(options, () => {
      if (!this.#readers.delete(reader)) return
      if (!reader.ownLosses) this.#droppedBefore += reader.dropped
      if (this.#readers.size === 0) this.#onLastLeft()
    })
    if (this.#ended) reader.end()
    else {
      this.#readers.add(reader)
      this.#requestKeyframe()
    }
    return reader
  }

  /** Readers get their remaining backlog, then the end. */
  end(): void {
    this.#ended = true
    for (const reader of [...this.#readers]) reader.end()
  }
}

/** One reader's bounded queue of a broadcast; consumed once, by one loop. */
export class Reader implements AsyncIterable<EncodedPacket> {
  /** Packets lost because this reader was too slow. */
  dropped = 0
  readonly ownLosses: boolean
  readonly #maxPackets: number
  readonly #maxBytes: number
  readonly #leave: () => void
  #queue: EncodedPacket[] = []
  #bytes = 0
  #waitingForKey = true
  #ended = false
  #wake: (() => void) | undefined

  constructor(options: ReaderOptions, leave: () => void) {
    this.#maxPackets = options.maxPackets ?? 512
    this.#maxBytes = options.maxBytes ?? 8 * 1024 * 1024
    this.ownLosses = options.ownLosses ?? false
    this.#leave = leave
  }

  /** Called by the broadcast. True if the reader lost packets and needs a keyframe. */
  push(packet: EncodedPacket<Track>): boolean {
    if (this.#ended) return false
    if (packet.track.kind === 'video') {
      if (packet.key) this.#waitingForKey = false
      else if (this.#waitingForKey) return false
    }
    this.#queue.push(packet)
    this.#bytes += packet.data.length
    const full = this.#queue.length > this.#maxPackets || this.#bytes > this.#maxBytes
    if (full) {
      this.dropped += this.#queue.length
      this.#queue = []
      this.#bytes = 0
      this.#waitingForKey = true
    }
    this.#wake?.()
    return full
  }

  end(): void {
    this.#ended = true
    this.#leave()
    this.#wake?.()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<EncodedPacket> {
    try {
      for (;;) {
        const packet = this.#queue.shift()
        if (packet) {
          this.#bytes -= packet.data.length
          yield packet
          continue
        }
        if (this.#ended) return
        const { promise, resolve } = Promise.withResolvers<void>()
        this.#wake = resolve
        await promise
        this.#wake = undefined
      }
    } finally {
      this.end()
    }
  }
}
