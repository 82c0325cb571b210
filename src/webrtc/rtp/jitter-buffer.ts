// Puts the packets of one RTP stream in order. Adds no delay while they arrive in order.
// Bound: at most 2,000 packets, 8 MiB together, wait at once, and as many missing ones are known; each packet takes no
// more work than those 2,000.
import { type OrderedPacket, type RtpPacket, sequenceDistance } from '../../codec/rtp/packet.ts'

export type JitterBufferOptions = {
  /** How long a missing packet is waited for. */
  maxWaitMs: number
  /** Minimum interval between requests for the same packet. */
  askEveryMs: number
}

type Gap = { since: number; askedAt: number; asked: number }

/** A larger distance means that the sender started anew. */
const MAX_DISTANCE = 2000
/** Network reordering settles within this time; a later packet was lost. */
const REORDER_MS = 8
const MAX_ASKS = 10
/** Limit of waiting packets: half a second at 100 Mbit/s. */
const MAX_WAITING_BYTES = 8 * 1024 * 1024

export class JitterBuffer {
  /** Packets that were given up. */
  lost = 0
  readonly #options: JitterBufferOptions
  /** Packets that arrived and are not in order yet, by sequence number. */
  readonly #waiting = new Map<number, RtpPacket>()
  /** Missing packets by sequence number, in stream order; the first is the next one due. */
  readonly #gaps = new Map<number, Gap>()
  /** Sequence number of the next packet due. */
  #next = 0
  #waitingBytes = 0
  /** Highest sequence number so far; undefined before the first. */
  #newest: number | undefined
  #lostBefore = 0

  constructor(options: JitterBufferOptions) {
    this.#options = options
  }

  /** True while packets are missing: then `giveUp` and `takeMissing` must be called regularly. */
  get hasGaps(): boolean {
    return this.#gaps.size > 0
  }

  /**
   * Returns the packets that are in order now: none, this one, or it and those that waited for it. Duplicates are
   * dropped.
   */
  push(packet: RtpPacket, now: number): OrderedPacket[] {
    const { sequence } = packet
    if (this.#newest === undefined) this.#begin(sequence)
    const ahead = sequenceDistance(this.#next, sequence)
    const isFull = this.#waitingBytes + packet.payload.length > MAX_WAITING_BYTES
    if (Math.abs(ahead) > MAX_DISTANCE || (isFull && ahead > 0)) {
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
    this.#waitingBytes += packet.payload.length
    return this.#drain()
  }

  /** Gives up packets that were waited for long enough, and returns those after them. */
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

  /** Sequence numbers to request from the sender now. */
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
    this.#waitingBytes = 0
    this.#gaps.clear()
    this.#next = sequence
    this.#newest = (sequence - 1) & 0xffff
  }

  #drain(): OrderedPacket[] {
    const ordered: OrderedPacket[] = []
    for (let packet = this.#waiting.get(this.#next); packet; packet = this.#waiting.get(this.#next)) {
      this.#waiting.delete(packet.sequence)
      this.#waitingBytes -= packet.payload.length
      ordered.push({ packet, lostBefore: this.#lostBefore })
      this.#lostBefore = 0
      this.#next = after(packet.sequence)
    }
    return ordered
  }
}

const after = (sequence: number): number => (sequence + 1) & 0xffff
