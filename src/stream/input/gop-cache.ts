import type { EncodedPacket } from '../../core/media/packet.ts'

/**
 * The video packets since the newest keyframe, so that a new decoder can start in the middle of a group of frames. A
 * group beyond the limits is dropped; the decoder then waits for the next keyframe.
 */
export class GopCache {
  readonly #maxPackets: number
  readonly #maxBytes: number
  #packets: EncodedPacket[] = []
  #bytes = 0

  constructor(maxPackets = 600, maxBytes = 16 * 1024 * 1024) {
    this.#maxPackets = maxPackets
    this.#maxBytes = maxBytes
  }

  push(packet: EncodedPacket): void {
    if (packet.key) this.clear()
    else if (this.#packets.length === 0) return
    this.#packets.push(packet)
    this.#bytes += packet.data.length
    if (this.#packets.length > this.#maxPackets || this.#bytes > this.#maxBytes) this.clear()
  }

  clear(): void {
    this.#packets = []
    this.#bytes = 0
  }

  get packets(): readonly EncodedPacket[] {
    return this.#packets
  }
}
