// RTP payload format for VP9: RFC 9628; the frame header: VP9 bitstream specification §6.2 (uncompressed_header).
// Bound: each byte is copied once; no more comes out than came.
import { AppError } from '../../core/errors.ts'
import type { Colour } from '../../core/media/colour.ts'
import { BitReader } from '../bit-reader.ts'
import { FrameAssembler } from './frame-assembler.ts'

type Descriptor = { bytes: number; begins: boolean; spatialLayer: number }

/** §4.2: the optional parts of the descriptor determine where the payload begins. */
function readDescriptor(payload: Uint8Array): Descriptor {
  const flags = payload[0] ?? 0
  const [hasId, predicted, hasLayers, flexible, begins, hasStructure] = [0x80, 0x40, 0x20, 0x10, 0x08, 0x02].map(
    (bit) => (flags & bit) !== 0,
  )
  let bytes = 1
  if (hasId) bytes += (payload[bytes] ?? 0) & 0x80 ? 2 : 1
  let spatialLayer = 0
  if (hasLayers) {
    spatialLayer = ((payload[bytes] ?? 0) >> 1) & 7
    bytes += flexible ? 1 : 2
  }
  // Up to three reference indices, each with a flag for another one.
  if (flexible && predicted) for (let i = 0; i < 3 && (payload[bytes++] ?? 0) & 1; i++);
  if (hasStructure) bytes += structureBytes(payload, bytes)
  if (bytes >= payload.length) throw new AppError('invalid-request', 'this VP9 RTP payload ends in its descriptor')
  return { bytes, begins: begins === true, spatialLayer }
}

/** §4.2.1: sizes of the spatial layers and the pattern of frames. */
function structureBytes(payload: Uint8Array, at: number): number {
  const first = payload[at] ?? 0
  let bytes = 1
  if (first & 0x10) bytes += 4 * ((first >> 5) + 1)
  if (first & 0x08) {
    const frames = payload[at + bytes++] ?? 0
    for (let i = 0; i < frames; i++) bytes += 1 + (((payload[at + bytes] ?? 0) >> 2) & 3)
  }
  return bytes
}

/** Reassembles the payloads of one frame, in order and without a gap. Of spatial layers the lowest is taken. */
export class Vp9Assembler extends FrameAssembler {
  constructor() {
    super('VP9')
  }

  /** Throws `invalid-request` if the payload cannot follow the previous one; the frame is then lost. */
  push(payload: Uint8Array): void {
    const { bytes, begins, spatialLayer } = readDescriptor(payload)
    if (spatialLayer === 0) this.add(payload.subarray(bytes), begins)
  }
}

/** matrix_coefficients of ITU-T H.273 by color_space (§7.2.2): unknown, BT.601, BT.709, SMPTE 170M, SMPTE 240M, BT.2020, reserved, RGB. */
const MATRICES = [2, 5, 1, 6, 7, 9, 2, 0] as const
const UNSPECIFIED = 2
const BT2020 = 9
const RGB = 7

/** Size in pixels and colours of a keyframe; undefined for any other frame. Throws on short input. */
export function vp9KeyframeHeader(frame: Uint8Array): { width: number; height: number; colour: Colour } | undefined {
  const bits = new BitReader(frame)
  if (bits.bits(2) !== 2) return
  const profile = bits.bits(1) | (bits.bits(1) << 1)
  if (profile === 3) bits.skip(1)
  const [showsExisting, isInter] = [bits.flag(), bits.flag()]
  if (showsExisting || isInter) return
  bits.skip(2) // show_frame, error_resilient_mode
  if (bits.bits(24) !== 0x498342) return
  if (profile >= 2) bits.skip(1) // ten_or_twelve_bit
  const space = bits.bits(3)
  const fullRange = space === RGB || bits.flag() // color_range
  if (profile === 1 || profile === 3) bits.skip(space === RGB ? 1 : 3)
  const matrix = MATRICES[space] ?? UNSPECIFIED
  const primaries = matrix === BT2020 ? BT2020 : UNSPECIFIED
  const colour = { primaries, transfer: UNSPECIFIED, matrix, fullRange }
  return { width: bits.bits(16) + 1, height: bits.bits(16) + 1, colour }
}
