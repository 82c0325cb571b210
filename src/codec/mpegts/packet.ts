// ISO/IEC 13818-1 §2.4.3.2 to §2.4.3.5: the transport packet and its adaptation field.
// Bound: constant time; a few numbers come out.

export const TS_PACKET_BYTES = 188
export const SYNC_BYTE = 0x47
export const PAT_PID = 0

export type TsPacket = {
  pid: number
  /** payload_unit_start_indicator */
  start: boolean
  /** transport_error_indicator: the demodulator marks it as damaged. */
  damaged: boolean
  scrambled: boolean
  /** continuity_counter, 0 to 15. */
  counter: number
  /** discontinuity_indicator: the counter may jump. */
  discontinuity: boolean
  hasPayload: boolean
  /** Whether stuffing fills the packet after a shorter payload. */
  stuffed: boolean
  /** Offset of the payload from the packet's first byte; 188 if there is none. */
  payload: number
}

/**
 * Parses the 188 bytes at `offset`, including the sync byte. An invalid adaptation field makes the packet `damaged`.
 */
export function parseTsPacket(data: Uint8Array, offset: number): TsPacket {
  const at = (i: number) => data[offset + i] as number
  const control = at(3) >> 4
  const hasField = (control & 2) !== 0
  const hasPayload = (control & 1) !== 0
  const length = hasField ? at(4) : 0
  const payload = hasField ? 5 + length : 4
  const field = hasField && length > 0 && payload <= TS_PACKET_BYTES
  return {
    pid: ((at(1) & 0x1f) << 8) | at(2),
    start: (at(1) & 0x40) !== 0,
    damaged: (at(1) & 0x80) !== 0 || payload > TS_PACKET_BYTES || (hasPayload && payload === TS_PACKET_BYTES),
    scrambled: at(3) >> 6 !== 0,
    counter: at(3) & 15,
    discontinuity: field && (at(5) & 0x80) !== 0,
    hasPayload: hasPayload && payload < TS_PACKET_BYTES,
    stuffed: hasField && hasPayload && isStuffed(data, offset + 4, length),
    payload: hasPayload ? Math.min(payload, TS_PACKET_BYTES) : TS_PACKET_BYTES,
  }
}

/**
 * Whether the adaptation field at `offset` is longer than its content. A field of length 0, or of length 1 without
 * flags, has no content: it only fills one or two bytes.
 */
function isStuffed(data: Uint8Array, offset: number, length: number): boolean {
  if (length === 0) return true
  const flags = data[offset + 1] as number
  let used = 1
  if (flags === 0) return true
  if (flags & 0x10) used += 6 // PCR
  if (flags & 0x08) used += 6 // OPCR
  if (flags & 0x04) used += 1 // splice_countdown
  if (flags & 0x02) used += 1 + (data[offset + 1 + used] ?? 0) // private data
  if (flags & 0x01) used += 1 + (data[offset + 1 + used] ?? 0) // extension
  return length > used
}
