import type { SeenPacket } from '../media/rtc-peer.ts'

/** About as long as a browser's jitter buffer waits for a packet. */
const GIVE_UP_MS = 500
const ASK_EVERY_MS = 40
const MAX_TRIES = 6

export type LossyCounts = {
  /** Packets received more than once: retransmissions. */
  resent: number
  /** Packets never received, however often they were requested. */
  gaveUp: number
  /** Longest time in which no further frame was completed, in milliseconds. */
  freezeMs: number
}

/**
 * A viewer behind a network that loses packets at random. It requests them again as browsers do, and shows frames in
 * order when they are complete. Times are those of the packets.
 */
export class LossyView {
  counts: LossyCounts = { resent: 0, gaveUp: 0, freezeMs: 0 }
  readonly #loss: number
  readonly #ask: (sequences: number[]) => void
  #random: number
  /** Packets that reached this end of the network, lost by it or not. */
  readonly #sent = new Set<number>()
  /** Packets received that wait for an earlier one, by unwrapped number. */
  readonly #here = new Map<number, { marker: boolean }>()
  readonly #missing = new Map<number, { since: number; askedAt: number; tries: number }>()
  #next: number | undefined
  #highest = 0
  #shownAt: number | undefined

  /** `loss`: 0 to 1. `ask` sends a NACK. The same `seed` loses the same packets. */
  constructor(loss: number, ask: (sequences: number[]) => void, seed = 1) {
    this.#loss = loss
    this.#ask = ask
    this.#random = seed
  }

  begin(): void {
    this.counts = { resent: 0, gaveUp: 0, freezeMs: 0 }
    this.#shownAt = undefined
  }

  /** A packet reached the end of the network. */
  add({ sequence, marker, at }: SeenPacket): void {
    this.#next ??= sequence
    const number = this.#countOn(sequence)
    if (this.#sent.has(number)) this.counts.resent++
    this.#note(number, at)
    if (this.#chance() >= this.#loss && number >= this.#next) {
      this.#here.set(number, { marker })
      this.#missing.delete(number)
    }
    this.#show(at)
    this.#askAgain(at)
  }

  /** Sequence numbers have 16 bits (RFC 3550 §5.1). */
  #countOn(sequence: number): number {
    const ahead = (sequence - (this.#highest & 0xffff) + 0x18000) % 0x10000
    return this.#sent.size === 0 ? sequence : this.#highest + ahead - 0x8000
  }

  #note(number: number, at: number): void {
    if (this.#sent.size === 0) this.#highest = number - 1
    for (let one = this.#highest + 1; one <= number; one++)
      this.#missing.set(one, { since: at, askedAt: Number.NEGATIVE_INFINITY, tries: 0 })
    this.#highest = Math.max(this.#highest, number)
    this.#sent.add(number)
    // Nobody requests packets this far behind.
    if (this.#sent.size > 4096) for (const old of this.#sent) if (old < this.#highest - 2048) this.#sent.delete(old)
  }

  #show(at: number): void {
    let next = this.#next!
    for (; next <= this.#highest; next++) {
      const here = this.#here.get(next)
      const missing = this.#missing.get(next)
      if (!here && missing && at - missing.since < GIVE_UP_MS) break
      if (!here) this.counts.gaveUp++
      this.#here.delete(next)
      this.#missing.delete(next)
      if (!here?.marker) continue
      if (this.#shownAt !== undefined) this.counts.freezeMs = Math.max(this.counts.freezeMs, at - this.#shownAt)
      this.#shownAt = at
    }
    this.#next = next
  }

  #askAgain(at: number): void {
    const due = [...this.#missing].filter(
      ([number, { askedAt, tries }]) => number < this.#highest && tries < MAX_TRIES && at - askedAt >= ASK_EVERY_MS,
    )
    for (const [, one] of due) {
      one.askedAt = at
      one.tries++
    }
    if (due.length > 0) this.#ask(due.map(([number]) => number & 0xffff))
  }

  #chance(): number {
    this.#random = (Math.imul(this.#random, 1664525) + 1013904223) >>> 0
    return this.#random / 2 ** 32
  }
}
