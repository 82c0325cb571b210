import { NativeMemory } from './memory.ts'

/** As many 1,200-byte packets as one burst of a large keyframe has. */
const BATCH_BYTES = 128 * 1280
const MAX_PACKETS = 128

/**
 * Packets for one peer, consecutive in memory, to be sent together. Filled, sent and cleared without a pause, so all
 * senders share one.
 */
export class PacketBatch {
  readonly memory = new NativeMemory(BATCH_BYTES)
  count = 0
  /** End of each packet; the first begins at 0. */
  readonly #ends = new Uint32Array(MAX_PACKETS)

  /** Where the next packet begins. */
  get end(): number {
    return this.count === 0 ? 0 : this.#ends[this.count - 1]!
  }

  /** Whether a packet of `bytes` fits. */
  fits(bytes: number): boolean {
    return this.count < MAX_PACKETS && this.end + bytes <= BATCH_BYTES
  }

  /** Makes the next `bytes` a packet. */
  add(bytes: number): void {
    this.#ends[this.count] = this.end + bytes
    this.count++
  }

  startOf(index: number): number {
    return index === 0 ? 0 : this.#ends[index - 1]!
  }

  endOf(index: number): number {
    return this.#ends[index]!
  }

  /** A copy that stays when the batch is cleared. */
  copyOf(index: number): Buffer {
    return Buffer.from(this.memory.bytes.subarray(this.startOf(index), this.endOf(index)))
  }

  clear(): void {
    this.count = 0
  }
}
