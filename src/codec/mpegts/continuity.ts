// ISO/IEC 13818-1 §2.4.3.3: continuity_counter.
// Bound: constant time for each packet, and one entry for each pid that it is asked about.
import type { TsPacket } from './packet.ts'

/** The last packet of a pid with payload, the number of tables seen by then, and whether a jump was announced since. */
type Last = { counter: number; payload: Uint8Array; tables: number; announced: boolean }

/**
 * Detects missing packets per pid. A jump at a start that follows a table is accepted, because a new multiplexer may
 * begin there.
 */
export class Continuity {
  readonly #last = new Map<number, Last>()
  #tables = 0
  /** The number of the table that jumped last. */
  #jumped = 0

  /** Number of packets missing before this one; undefined for a duplicate. */
  follow(packet: TsPacket, payload: Uint8Array): number | undefined {
    const { pid, counter } = packet
    const last = this.#last.get(pid)
    this.followed(pid, counter, payload)
    if (!last || packet.discontinuity) return 0
    if (packet.start && this.#forgives(last, counter)) return 0
    if (counter === last.counter && Buffer.compare(payload, last.payload) === 0) return undefined
    return (counter - last.counter + 15) & 15
  }

  /** The counter that this pid's next packet has if none is missing; undefined before the first. */
  expected(pid: number): number | undefined {
    const last = this.#last.get(pid)
    return last && (last.counter + 1) & 15
  }

  /** Records packets up to this one, with none missing. */
  followed(pid: number, counter: number, payload: Uint8Array): void {
    this.#last.set(pid, { counter, payload, tables: this.#tables, announced: false })
  }

  /** A packet without payload announced that the counter of its pid may jump. */
  announce(pid: number): void {
    const last = this.#last.get(pid)
    if (last) last.announced = true
  }

  /**
   * Call for a PAT. A jump in the counter of tables is hardly a loss: they repeat constantly, and separately produced
   * segments each begin with a PAT and new counters, mostly at 0.
   */
  table(jumped: boolean): void {
    this.#tables++
    if (jumped) this.#jumped = this.#tables
  }

  forget(pid: number): void {
    this.#last.delete(pid)
  }

  #forgives({ tables, announced }: Last, counter: number): boolean {
    if (announced || this.#jumped > tables) return true
    return this.#tables > tables && counter === 0
  }
}
