// ISO/IEC 13818-1 §2.4.3.2 to §2.4.3.5: cutting PES packets and sections into transport packets.
import { SYNC_BYTE, TS_PACKET_BYTES } from './packet.ts'
import { wrapTimestamp } from './pes.ts'

export type FieldOptions = {
  /** random_access_indicator: decoding can begin here. */
  randomAccess?: boolean
  /** discontinuity_indicator: the clock stamp begins a new clock. */
  discontinuity?: boolean
  /** Clock stamp in 90 kHz ticks; cut to 33 bits. */
  pcr?: number
}

const HEADER_BYTES = 4
const PAYLOAD_BYTES = TS_PACKET_BYTES - HEADER_BYTES

/** Writes transport packets and counts them by pid. */
export class PacketWriter {
  readonly #counters = new Map<number, number>()
  #out = new Uint8Array(0)
  #length = 0

  /** Begins a run of packets that holds about so many bytes. */
  begin(bytes: number): this {
    this.#out = new Uint8Array((Math.ceil(bytes / PAYLOAD_BYTES) + 4) * TS_PACKET_BYTES)
    this.#length = 0
    return this
  }

  /** The run written since `begin`. */
  end(): Uint8Array {
    return this.#out.subarray(0, this.#length)
  }

  /** A section in as many packets as it needs, behind a pointer field of 0; what is left is filled with 0xff (§2.4.4). */
  section(pid: number, section: Uint8Array): void {
    for (let at = 0; at < section.length; ) {
      const first = at === 0
      const packet = this.#packet(pid, first, false)
      const start = HEADER_BYTES + (first ? 1 : 0)
      const part = section.subarray(at, at + TS_PACKET_BYTES - start)
      packet[HEADER_BYTES] = 0
      packet.fill(0xff, start)
      packet.set(part, start)
      at += part.length
    }
  }

  /** A PES packet; the last transport packet is stuffed in its adaptation field, so that its end can be seen. */
  pes(pid: number, pes: Uint8Array, options: FieldOptions): void {
    for (let at = 0; at < pes.length; ) {
      const field = at === 0 ? adaptationField(options) : new Uint8Array(0)
      const room = PAYLOAD_BYTES - field.length
      const part = pes.subarray(at, at + room)
      const fieldBytes = PAYLOAD_BYTES - part.length
      const packet = this.#packet(pid, at === 0, fieldBytes > 0)
      if (fieldBytes > 0) writeField(packet, field, fieldBytes)
      packet.set(part, TS_PACKET_BYTES - part.length)
      at += part.length
    }
  }

  #packet(pid: number, start: boolean, hasField: boolean): Uint8Array {
    const counter = this.#counters.get(pid) ?? 0
    this.#counters.set(pid, (counter + 1) & 15)
    if (this.#length + TS_PACKET_BYTES > this.#out.length) {
      const grown = new Uint8Array(this.#out.length * 2 + TS_PACKET_BYTES)
      grown.set(this.#out)
      this.#out = grown
    }
    const packet = this.#out.subarray(this.#length, this.#length + TS_PACKET_BYTES)
    this.#length += TS_PACKET_BYTES
    packet[0] = SYNC_BYTE
    packet[1] = (start ? 0x40 : 0) | (pid >> 8)
    packet[2] = pid & 0xff
    packet[3] = (hasField ? 0x30 : 0x10) | counter
    return packet
  }
}

/** §2.4.3.4: length, flags and clock stamp; nothing at all when there is nothing to say. */
function adaptationField({ randomAccess, discontinuity, pcr }: FieldOptions): Uint8Array {
  const flags = (discontinuity ? 0x80 : 0) | (randomAccess ? 0x40 : 0) | (pcr === undefined ? 0 : 0x10)
  if (flags === 0) return new Uint8Array(0)
  if (pcr === undefined) return Uint8Array.of(1, flags)
  // 33 bits of base, six reserved, nine of extension (27 MHz), which is 0.
  const base = wrapTimestamp(pcr)
  const high = Math.floor(base / 2)
  return Uint8Array.of(7, flags, high >>> 24, high >>> 16, high >>> 8, high, ((base % 2) << 7) | 0x7e, 0)
}

function writeField(packet: Uint8Array, field: Uint8Array, bytes: number): void {
  packet.fill(0xff, HEADER_BYTES, HEADER_BYTES + bytes)
  packet.set(field, HEADER_BYTES)
  packet[HEADER_BYTES] = bytes - 1
  if (field.length === 0 && bytes > 1) packet[HEADER_BYTES + 1] = 0
}
