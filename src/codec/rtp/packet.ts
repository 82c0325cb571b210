// RTP fixed header and header extensions: RFC 3550 §5.1, RFC 8285.
// Bound: what is read are views of the packet; looking for an element goes once over the extension.

/** Bytes of the header without CSRCs and extensions. */
export const RTP_HEADER_BYTES = 12

export type RtpPacket = {
  payloadType: number
  marker: boolean
  /** 0 to 65535. */
  sequence: number
  /** 0 to 2^32 - 1, in the payload's clock rate. */
  timestamp: number
  ssrc: number
  /** View of the header extension's elements; empty when there are none. */
  extension: Uint8Array
  /** Whether elements have the two-byte form (RFC 8285 §4.3). */
  twoByteExtension: boolean
  /** Offset of the payload in the packet, where encryption also begins. */
  payloadOffset: number
  payload: Uint8Array
}

/** A packet in order. */
export type OrderedPacket = {
  packet: RtpPacket
  /** Number of lost packets right before this one. */
  lostBefore: number
}

/** Parses an RTP packet; undefined if the bytes are not one. Padding is removed. */
export function parseRtp(data: Uint8Array): RtpPacket | undefined {
  if (data.length < RTP_HEADER_BYTES || data[0]! >> 6 !== 2) return
  const view = new DataView(data.buffer, data.byteOffset, data.length)
  let offset = RTP_HEADER_BYTES + 4 * (data[0]! & 0x0f)
  let extension = data.subarray(0, 0)
  let twoByteExtension = false
  if (data[0]! & 0x10) {
    if (data.length < offset + 4) return
    const profile = view.getUint16(offset)
    const end = offset + 4 + 4 * view.getUint16(offset + 2)
    if (data.length < end) return
    twoByteExtension = profile >> 4 === 0x100
    if (twoByteExtension || profile === 0xbede) extension = data.subarray(offset + 4, end)
    offset = end
  }
  const padding = data[0]! & 0x20 ? data[data.length - 1]! : 0
  if (data.length < offset + padding) return
  return {
    payloadType: data[1]! & 0x7f,
    marker: (data[1]! & 0x80) !== 0,
    sequence: view.getUint16(2),
    timestamp: view.getUint32(4),
    ssrc: view.getUint32(8),
    extension,
    twoByteExtension,
    payloadOffset: offset,
    payload: data.subarray(offset, data.length - padding),
  }
}

/** The data of one header extension element; undefined if absent. */
export function extensionElement(packet: RtpPacket, id: number): Uint8Array | undefined {
  const { extension: bytes, twoByteExtension: twoByte } = packet
  for (let at = 0; at < bytes.length; ) {
    const first = bytes[at]!
    if (first === 0) {
      at++
      continue
    }
    // 15 ends the one-byte form (RFC 8285 §4.2).
    const found = twoByte ? first : first >> 4
    if (!twoByte && found === 15) return
    const length = twoByte ? (bytes[at + 1] ?? 0) : (first & 0x0f) + 1
    const start = at + (twoByte ? 2 : 1)
    if (found === id) return start + length <= bytes.length ? bytes.subarray(start, start + length) : undefined
    at = start + length
  }
  return
}

/** Signed distance from sequence number `from` to `to`, modulo 2^16. */
export function sequenceDistance(from: number, to: number): number {
  return ((to - from) << 16) >> 16
}
