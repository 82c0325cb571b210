// ISO/IEC 13818-1 §2.4.3.2: every 188 bytes begin with the sync byte.
import { concatBytes } from '../bytes.ts'
import { SYNC_BYTE, TS_PACKET_BYTES } from './packet.ts'

/** So many sync bytes in step are a transport stream; payload seldom has them. */
const SYNCS = 3
const SEARCH_BYTES = (SYNCS - 1) * TS_PACKET_BYTES + 1

/** Finds the packets in bytes that are cut anywhere, and finds the step again after damage. */
export class TsSync {
  /** Times the step was lost. */
  lost = 0
  #found = false
  #locked = false
  #rest = new Uint8Array(0)

  /** True once the step was found. */
  get found(): boolean {
    return this.#found
  }

  /** Bytes of a packet that is not whole yet. */
  get left(): number {
    return this.#rest.length
  }

  /** Yields the place of each whole packet. */
  *push(chunk: Uint8Array): Generator<{ data: Uint8Array; offset: number }> {
    const data = this.#rest.length > 0 ? concatBytes(this.#rest, chunk) : chunk
    let at = 0
    for (;;) {
      if (!this.#locked) {
        at = this.#search(data, at)
        if (!this.#locked) break
      }
      if (at + TS_PACKET_BYTES > data.length) break
      if (data[at] !== SYNC_BYTE) {
        this.#locked = false
        this.lost++
        continue
      }
      yield { data, offset: at }
      at += TS_PACKET_BYTES
    }
    this.#rest = data.slice(at)
  }

  /** Returns where the step begins, or from where to look again when more bytes are there. */
  #search(data: Uint8Array, from: number): number {
    for (let at = from; ; at++) {
      at = data.indexOf(SYNC_BYTE, at)
      if (at < 0) return data.length
      if (at + SEARCH_BYTES > data.length) return at
      let inStep = 1
      while (inStep < SYNCS && data[at + inStep * TS_PACKET_BYTES] === SYNC_BYTE) inStep++
      if (inStep === SYNCS) {
        this.#locked = true
        this.#found = true
        return at
      }
    }
  }
}
