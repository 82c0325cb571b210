// Puts the packets of one RTP stream in order. While they come in order it adds no delay.
import { type RtpPacket, sequenceDistance } from '../../codec/rtp/packet.ts'

export type JitterBufferOptions = {
  /** How long a missing packet is waited for. */
  maxWaitMs: number
  /** Longest time between two requests for the same packet. */
  askEveryMs: number
}

/** A packet in its place. */
export type OrderedPacket = {
  packet: RtpPacket
  /** Packets right before this one that never came. */
  lostBefore: number
}

type Gap = { since: number; askedAt: number; asked: number }

/** Packets this far apart do not belong together: the sender began anew. */
const MAX_DISTANCE = 2000
/** Disorder of a network settles within this; a packet that is later was lost. */
const REORDER_MS = 8
const MAX_ASKS = 10

export class JitterBuffer {
  /** Packets that were given up. */
  lost = 0
  readonly #options: JitterBufferOptions
  /** Packets that came and are not in order yet, by sequence number. */
  readonly #waiting = new Map<number, RtpPacket>()
  /** Packets that are missing, by sequence number, in the order of the stream; the first is the one to come next. */
  readonly #gaps = new Map<number, Gap>()
  /** Sequence number of the packet that comes next. */
  #next = 0
  /** Highest sequence number that came; undefined before the first. */
  #newest: number | undefined
  #lostBefore = 0

  constructor(options: JitterBufferOptions) {
    this.#options = options
  }

  /** True while packets are missing: then `giveUp` and `takeMissing` must be called now and then. */
  get hasGaps(): boolean {
    return this.#gaps.size > 0
  }

  /** Returns what is in order now: nothing, this packet, or it and those that waited for it. Doubles are dropped. */
  push(packet: RtpPacket, now: number): OrderedPacket[] {
    const { sequence } = packet
    if (this.#newest === undefined) this.#begin(sequence)
    const ahead = sequenceDistance(this.#next, sequence)
    if (Math.abs(ahead) > MAX_DISTANCE) {
      this.lost++
      this.#lostBefore++
      this.#begin(sequence)
    } else if (ahead < 0 || this.#waiting.has(sequence)) return []
    for (let missing = after(this.#newest!); sequenceDistance(missing, sequence) > 0; missing = after(missing)) {
      this.#gaps.set(missing, { since: now, askedAt: Number.NEGATIVE_INFINITY, asked: 0 })
    }
    if (sequenceDistance(this.#newest!, sequence) > 0) this.#newest = sequence
    this.#gaps.delete(sequence)
    this.#waiting.set(sequence, packet)
    return this.#drain()
  }

  /** Goes on without the packets that were waited for long enough. */
  giveUp(now: number): OrderedPacket[] {
    const ordered: OrderedPacket[] = []
    for (const [sequence, { since }] of this.#gaps) {
      if (now - since < this.#options.maxWaitMs) break
      this.#gaps.delete(sequence)
      this.lost++
      this.#lostBefore++
      this.#next = after(sequence)
      ordered.push(...this.#drain())
    }
    return ordered
  }

  /** Sequence numbers to ask the sender for now. */
  takeMissing(now: number): number[] {
    const missing: number[] = []
    for (const [sequence, gap] of this.#gaps) {
      const due = now - gap.since >= REORDER_MS && now - gap.askedAt >= this.#options.askEveryMs
      if (!due || gap.asked >= MAX_ASKS) continue
      gap.askedAt = now
      gap.asked++
      missing.push(sequence)
    }
    return missing
  }

  #begin(sequence: number): void {
    this.#waiting.clear()
    this.#gaps.clear()
    this.#next = sequence
    this.#newest = (sequence - 1) & 0xffff
  }

  #drain(): OrderedPacket[] {
    const ordered: OrderedPacket[] = []
    for (let packet = this.#waiting.get(this.#next); packet; packet = this.#waiting.get(this.#next)) {
      this.#waiting.delete(packet.sequence)
      ordered.push({ packet, lostBefore: this.#lostBefore })
      this.#lostBefore = 0
      this.#next = after(packet.sequence)
    }
    return ordered
  }
}

const after = (sequence: number): number => (sequence + 1) & 0xffff
