// ISO/IEC 13818-1 §2.4.3.2 to §2.4.3.5: splitting PES packets and sections into transport packets.
import { SYNC_BYTE, TS_PACKET_BYTES } from './packet.ts'
import { wrapTimestamp } from './pes.ts'

export type FieldOptions = {
  /** random_access_indicator: decoding can begin here. */
  randomAccess?: boolean
  /** discontinuity_indicator: a new clock begins with this clock stamp. */
  discontinuity?: boolean
  /** Clock stamp in 90 kHz ticks; truncated to 33 bits. */
  pcr?: number
}

const HEADER_BYTES = 4
const PAYLOAD_BYTES = TS_PACKET_BYTES - HEADER_BYTES
const NOTHING = new Uint8Array(0)

/** Writes transport packets with continuity counters. */
export class PacketWriter {
  readonly #counters = new Map<number, number>()
  #out = new Uint8Array(0)
  #length = 0

  /** Begins a run of packets of about `bytes`. */
  begin(bytes: number): this {
    this.#out = new Uint8Array((Math.ceil(bytes / PAYLOAD_BYTES) + 4) * TS_PACKET_BYTES)
    this.#length = 0
    return this
  }

  /** The run written since `begin`. */
  end(): Uint8Array {
    return this.#out.subarray(0, this.#length)
  }

  /** A section in as many packets as it needs, after a pointer field of 0, padded with 0xff (§2.4.4). */
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

  /**
   * A PES packet with the header `head` and `payload`; the last transport packet is stuffed in its adaptation field,
   * which marks its end.
   */
  pes(pid: number, payload: Uint8Array, options: FieldOptions, head: Uint8Array = NOTHING): void {
    const first = this.#part(pid, true, payload, adaptationField(options), head)
    const at = this.#whole(pid, payload, first)
    if (at < payload.length) this.#part(pid, false, payload.subarray(at), NOTHING, NOTHING)
  }

  /** One packet, with an adaptation field if it is not filled; returns how much of `payload` it holds. */
  #part(pid: number, start: boolean, payload: Uint8Array, field: Uint8Array, head: Uint8Array): number {
    const part = payload.subarray(0, PAYLOAD_BYTES - field.length - head.length)
    const fieldBytes = PAYLOAD_BYTES - head.length - part.length
    const packet = this.#packet(pid, start, fieldBytes > 0)
    if (fieldBytes > 0) writeField(packet, field, fieldBytes)
    packet.set(head, HEADER_BYTES + fieldBytes)
    packet.set(part, TS_PACKET_BYTES - part.length)
    return part.length
  }

  /** Packets that hold only payload, as nearly all do; returns the offset of the rest. */
  #whole(pid: number, payload: Uint8Array, from: number): number {
    const count = Math.floor((payload.length - from) / PAYLOAD_BYTES)
    const bytes = count * TS_PACKET_BYTES
    this.#reserve(bytes)
    const out = this.#out
    const end = this.#length + bytes
    // Copied at once to the end of their room, then moved one by one to places before the data still to be moved.
    out.set(payload.subarray(from, from + count * PAYLOAD_BYTES), end - count * PAYLOAD_BYTES)
    let counter = this.#counters.get(pid) ?? 0
    for (
      let to = this.#length, at = end - count * PAYLOAD_BYTES;
      to < end;
      to += TS_PACKET_BYTES, at += PAYLOAD_BYTES
    ) {
      out.copyWithin(to + HEADER_BYTES, at, at + PAYLOAD_BYTES)
      out[to] = SYNC_BYTE
      out[to + 1] = pid >> 8
      out[to + 2] = pid & 0xff
      out[to + 3] = 0x10 | counter
      counter = (counter + 1) & 15
    }
    this.#counters.set(pid, counter)
    this.#length = end
    return from + count * PAYLOAD_BYTES
  }

  #packet(pid: number, start: boolean, hasField: boolean): Uint8Array {
    const counter = this.#counters.get(pid) ?? 0
    this.#counters.set(pid, (counter + 1) & 15)
    this.#reserve(TS_PACKET_BYTES)
    const packet = this.#out.subarray(this.#length, this.#length + TS_PACKET_BYTES)
    this.#length += TS_PACKET_BYTES
    packet[0] = SYNC_BYTE
    packet[1] = (start ? 0x40 : 0) | (pid >> 8)
    packet[2] = pid & 0xff
    packet[3] = (hasField ? 0x30 : 0x10) | counter
    return packet
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#out.length) return
    const grown = new Uint8Array(this.#out.length * 2 + bytes)
    grown.set(this.#out)
    this.#out = grown
  }
}

/** §2.4.3.4: length, flags and clock stamp; empty if there is nothing to say. */
function adaptationField({ randomAccess, discontinuity, pcr }: FieldOptions): Uint8Array {
  const flags = (discontinuity ? 0x80 : 0) | (randomAccess ? 0x40 : 0) | (pcr === undefined ? 0 : 0x10)
  if (flags === 0) return NOTHING
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
