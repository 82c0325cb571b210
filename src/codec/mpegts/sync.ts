// ISO/IEC 13818-1 §2.4.3.2: each packet begins with the sync byte.
// Bound: each byte is looked at once, and once more for each sync byte in the 816 before it; at most 816 are kept, and
// views come out.
import { concatBytes } from '../bytes.ts'
import { SYNC_BYTE, TS_PACKET_BYTES } from './packet.ts'

/**
 * Packet sizes, and how many sync bytes at that step make a transport stream, since payload may contain some. 192 is
 * M2TS, with a four-byte time stamp before each packet; 204 has a Reed-Solomon code of sixteen bytes behind each (ETSI
 * EN 300 744 §4.3.2). Bytes between packets are skipped.
 */
const STEPS = [
  { bytes: TS_PACKET_BYTES, syncs: 3 },
  { bytes: 192, syncs: 5 },
  { bytes: 204, syncs: 5 },
]

/** Finds packets in bytes that are split anywhere, and resynchronizes after damage. */
export class TsSync {
  /** How often sync was lost. */
  lost = 0
  #found = false
  /** Bytes from one packet to the next; undefined while searching. */
  #step: number | undefined
  #rest = new Uint8Array(0)
  #data: Uint8Array = this.#rest
  #at = 0
  /** Bytes to skip that have not come yet. */
  #skip = 0

  /** True once the step is known. */
  get found(): boolean {
    return this.#found
  }

  /** Bytes of an incomplete packet. */
  get left(): number {
    return this.#rest.length
  }

  /** Takes the next bytes; then call `next` until it returns undefined. */
  take(chunk: Uint8Array): void {
    this.#data = this.#rest.length > 0 ? concatBytes(this.#rest, chunk) : chunk
    this.#at = this.#skip
  }

  /** The bytes that contain the packets. */
  get data(): Uint8Array {
    return this.#data
  }

  /** Bytes from the start of one packet to the next. */
  get step(): number {
    return this.#step ?? TS_PACKET_BYTES
  }

  /** Offset of the next complete packet in `data`; undefined if there is none. */
  next(): number | undefined {
    const data = this.#data
    for (;;) {
      if (this.#step === undefined) {
        this.#at = this.#search(data, this.#at)
        if (this.#step === undefined) break
      }
      const at = this.#at
      if (at + TS_PACKET_BYTES > data.length) break
      if (data[at] !== SYNC_BYTE) {
        this.#step = undefined
        this.lost++
        continue
      }
      this.#at = at + this.#step
      return at
    }
    this.#rest = data.slice(this.#at)
    this.#skip = Math.max(0, this.#at - data.length)
    return undefined
  }

  /** Skips packets after the one that `next` returned, which were handled already. */
  pass(packets: number): void {
    this.#at += packets * this.step
  }

  /** Returns where the step begins, or where to continue searching with more bytes. */
  #search(data: Uint8Array, from: number): number {
    for (let at = from; ; at++) {
      at = data.indexOf(SYNC_BYTE, at)
      if (at < 0) return Math.max(from, data.length)
      for (const { bytes, syncs } of STEPS) {
        let inStep = 1
        while (inStep < syncs && data[at + inStep * bytes] === SYNC_BYTE) inStep++
        if (inStep === syncs) {
          this.#step = bytes
          this.#found = true
          return at
        }
        if (at + inStep * bytes >= data.length) return at
      }
    }
  }
}
