// AV1 bitstream specification §5.3 (OBU header), §4.10.5 (leb128) and §5.9.1 to 5.9.5 (frame header, up to the size).
// Bound: headers are read once and bit by bit, so that time grows with the input; what comes out are views, a few
// numbers, and for a unit with its size nine bytes more than came.
import { AppError } from '../../core/errors.ts'
import type { Colour } from '../../core/media/colour.ts'
import { BitReader } from '../bit-reader.ts'
import { type Av1Sequence, parseAv1Sequence } from './sequence.ts'

/** obu_type, §6.2.2. */
export const OBU = {
  sequenceHeader: 1,
  temporalDelimiter: 2,
  frameHeader: 3,
  frame: 6,
  tileList: 8,
  padding: 15,
} as const

export type Obu = {
  type: number
  /** Header and extension, without the size flag. */
  header: Uint8Array
  spatialId: number
  payload: Uint8Array
  /** Offset of the next unit. */
  end: number
}

const HAS_EXTENSION = 0x04
const HAS_SIZE = 0x02

/** The unit at `at`; without a size it reaches to the end. Throws `unsupported-media` if it is truncated. */
export function readObu(data: Uint8Array, at = 0): Obu {
  const first = data[at] ?? 0
  const extended = (first & HAS_EXTENSION) !== 0
  let start = at + (extended ? 2 : 1)
  if (start > data.length) throw cut()
  const header = Uint8Array.of(first & ~HAS_SIZE, ...data.subarray(at + 1, start))
  let end = data.length
  if (first & HAS_SIZE) {
    const size = readLeb128(data, start)
    start = size.next
    end = start + size.value
    if (end > data.length) throw cut()
  }
  return {
    type: (first >> 3) & 15,
    header,
    spatialId: extended ? (header[1]! >> 3) & 3 : 0,
    payload: data.subarray(start, end),
    end,
  }
}

/** An unsigned number of at most 32 bits in at most 8 bytes. Throws `unsupported-media` otherwise. */
export function readLeb128(data: Uint8Array, at: number): { value: number; next: number } {
  let value = 0
  for (let i = 0; i < 8 && at + i < data.length; i++) {
    const byte = data[at + i]!
    value += (byte & 0x7f) * 2 ** (7 * i)
    if (byte < 0x80) {
      if (value >= 2 ** 32) break
      return { value, next: at + i + 1 }
    }
  }
  throw cut()
}

/** The shortest encoding. */
function leb128(value: number): Uint8Array {
  const bytes: number[] = []
  let rest = value
  do {
    bytes.push((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0))
    rest = Math.floor(rest / 128)
  } while (rest > 0)
  return Uint8Array.from(bytes)
}

/** The unit with a size field, as in files and for decoders (§5.2, low overhead format). */
export function withSize({ header, payload }: Obu): Uint8Array[] {
  return [Uint8Array.of(header[0]! | HAS_SIZE, ...header.subarray(1)), leb128(payload.length), payload]
}

/**
 * Size in pixels of a temporal unit at which decoding can begin: it has a sequence header and a shown keyframe.
 * Undefined for any other. Throws `unsupported-media` if it is truncated.
 */
export function av1KeyframeSize(unit: Uint8Array): { width: number; height: number } | undefined {
  let sequence: Uint8Array | undefined
  for (let at = 0; at < unit.length; ) {
    const obu = readObu(unit, at)
    if (obu.type === OBU.sequenceHeader) sequence = obu.payload
    if (obu.type === OBU.frame || obu.type === OBU.frameHeader)
      return sequence && shownKeyframe(obu.payload, parseAv1Sequence(sequence))
    at = obu.end
  }
  return
}

/**
 * The colours of a temporal unit; undefined without a sequence header. Throws `unsupported-media` if it is truncated.
 */
export function av1Colour(unit: Uint8Array): Colour | undefined {
  for (let at = 0; at < unit.length; ) {
    const { type, payload, end } = readObu(unit, at)
    if (type === OBU.sequenceHeader) return parseAv1Sequence(payload).colour
    at = end
  }
  return
}

const KEY_FRAME = 0
const SELECT = 2

/** uncompressed_header() up to frame_size(), for a shown keyframe only. */
function shownKeyframe(payload: Uint8Array, sequence: Av1Sequence): { width: number; height: number } | undefined {
  const { maxSize, reduced } = sequence
  if (reduced) return maxSize
  const bits = new BitReader(payload)
  const [showsExisting, type, shown] = [bits.flag(), bits.bits(2), bits.flag()]
  if (showsExisting || type !== KEY_FRAME || !shown) return
  bits.skip(sequence.presentationTimeBits)
  bits.skip(1) // disable_cdf_update
  const screenContent = sequence.screenContentTools === SELECT ? bits.flag() : sequence.screenContentTools === 1
  if (screenContent && sequence.integerMv === SELECT) bits.skip(1) // force_integer_mv
  bits.skip(sequence.frameIdBits)
  const hasOwnSize = bits.flag()
  bits.skip(sequence.orderHintBits)
  if (sequence.hasDecoderModel && bits.flag()) return maxSize // buffer_removal_time: no live encoder sends it
  if (!hasOwnSize) return maxSize
  return { width: bits.bits(sequence.widthBits) + 1, height: bits.bits(sequence.heightBits) + 1 }
}

const cut = () => new AppError('unsupported-media', 'this AV1 unit is longer than its data')
