// ISO/IEC 13818-1 §2.4.3.6 and §2.4.3.7: the PES packet and its time stamps.
// Bound: one header of at most 264 bytes is read; a few numbers come out.
import { AppError } from '../../core/errors.ts'

/** Time stamps have 33 bits and count 90 kHz ticks. */
export const TIMESTAMP_BITS = 33
const TURN = 2 ** TIMESTAMP_BITS

/** Longest PES header: 9 bytes, and PES_header_data_length more. */
export const MAX_PES_HEADER_BYTES = 9 + 255

export type PesHeader = {
  streamId: number
  /** Bytes before the payload. */
  bytes: number
  /** Bytes of payload; undefined if not stated (PES_packet_length 0). */
  payloadBytes?: number
  /** As coded, 33 bits. */
  pts?: number
  /** As coded, 33 bits; only together with `pts`. */
  dts?: number
  scrambled: boolean
}

/** Stream ids whose packets have no optional header, and carry neither video nor audio (Table 2-21). */
const WITHOUT_HEADER = new Set([0xbc, 0xbe, 0xbf, 0xf0, 0xf1, 0xf2, 0xf8, 0xff])

/** Parses the header at the start of the bytes: 'short' if they end within it, 'bad' if there is none. */
export function parsePesHeader(data: Uint8Array): PesHeader | 'short' | 'bad' {
  if ((data[0] ?? 0) !== 0 || (data[1] ?? 0) !== 0 || (data[2] ?? 1) !== 1) return 'bad'
  if (data.length < 9) return 'short'
  const at = (i: number) => data[i] as number
  const streamId = at(3)
  // The optional header begins with the bits '10'.
  if (WITHOUT_HEADER.has(streamId) || streamId < 0xbc || at(6) >> 6 !== 2) return 'bad'
  const bytes = 9 + at(8)
  if (data.length < bytes) return 'short'
  const length = (at(4) << 8) | at(5)
  const times = at(7) >> 6
  if ((times === 2 && at(8) < 5) || (times === 3 && at(8) < 10)) return 'bad'
  if (length > 0 && length + 6 < bytes) return 'bad'
  return {
    streamId,
    bytes,
    scrambled: (at(6) & 0x30) !== 0,
    ...(length > 0 && { payloadBytes: length + 6 - bytes }),
    ...(times >= 2 && { pts: readTimestamp(data, 9) }),
    ...(times === 3 && { dts: readTimestamp(data, 14) }),
  }
}

function readTimestamp(data: Uint8Array, offset: number): number {
  const at = (i: number) => data[offset + i] as number
  const high = (at(0) >> 1) & 7
  const middle = (at(1) << 7) | (at(2) >> 1)
  const low = (at(3) << 7) | (at(4) >> 1)
  return high * 2 ** 30 + middle * 2 ** 15 + low
}

/** Largest PES_packet_length. */
const MAX_LENGTH = 0xffff

/**
 * A PES header for `payloadBytes` of payload. `pts` and `dts` are truncated to 33 bits; `dts` is written if it differs.
 * Only video may exceed the length field; for others this throws `unsupported-media`.
 */
export function pesHeader(streamId: number, payloadBytes: number, pts: number, dts: number): Uint8Array {
  const both = dts !== pts
  const optional = both ? 10 : 5
  const length = 3 + optional + payloadBytes
  const video = streamId >= 0xe0 && streamId <= 0xef
  if (length > MAX_LENGTH && !video) {
    throw new AppError('unsupported-media', `an audio packet of ${payloadBytes} bytes does not fit an MPEG-TS stream`)
  }
  const out = new Uint8Array(9 + optional)
  // 0x84: '10' and data_alignment_indicator: the payload begins an access unit.
  const told = length > MAX_LENGTH ? 0 : length
  out.set([0, 0, 1, streamId, told >> 8, told & 0xff, 0x84, both ? 0xc0 : 0x80, optional])
  writeTimestamp(out, 9, both ? 3 : 2, pts)
  if (both) writeTimestamp(out, 14, 1, dts)
  return out
}

/** A number of ticks modulo 2^33. */
export function wrapTimestamp(ticks: number): number {
  return ((ticks % TURN) + TURN) % TURN
}

function writeTimestamp(out: Uint8Array, offset: number, prefix: number, ticks: number): void {
  const value = wrapTimestamp(ticks)
  const high = Math.floor(value / 2 ** 30)
  const low = value % 2 ** 30
  out[offset] = (prefix << 4) | (high << 1) | 1
  out[offset + 1] = low >> 22
  out[offset + 2] = ((low >> 14) & 0xfe) | 1
  out[offset + 3] = (low >> 7) & 0xff
  out[offset + 4] = ((low << 1) & 0xfe) | 1
}
