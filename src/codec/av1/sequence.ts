// AV1 bitstream specification §5.5: the sequence header, as far as needed for the frame size.
// Bound: at most 32 operating points are read, bit by bit and once; a few numbers come out.
import type { Colour } from '../../core/media/colour.ts'
import { BitReader } from '../bit-reader.ts'

export type Av1Sequence = {
  /** Size in pixels of frames that do not state their own. */
  maxSize: { width: number; height: number }
  /** Each frame is a shown keyframe of that size. */
  reduced: boolean
  widthBits: number
  heightBits: number
  /** Lengths of frame header fields in bits; 0 if absent. */
  presentationTimeBits: number
  frameIdBits: number
  orderHintBits: number
  hasDecoderModel: boolean
  /** 2 if each frame states it. */
  screenContentTools: number
  integerMv: number
  colour: Colour
}

type Timing = { hasDecoderModel: boolean; delayBits: number; presentationTimeBits: number }

const SELECT = 2
const UNSPECIFIED = 2
/** BT.709, sRGB and the identity matrix: RGB, which is always full range. */
const SRGB = [1, 13, 0]

/** Throws `unsupported-media` if it is truncated. */
export function parseAv1Sequence(payload: Uint8Array): Av1Sequence {
  const bits = new BitReader(payload)
  const profile = bits.bits(3)
  bits.skip(1) // still_picture
  const reduced = bits.flag()
  let timing: Timing = { hasDecoderModel: false, delayBits: 0, presentationTimeBits: 0 }
  if (reduced)
    bits.skip(5) // seq_level_idx
  else {
    if (bits.flag()) timing = readTiming(bits)
    skipOperatingPoints(bits, timing)
  }
  const [widthBits, heightBits] = [bits.bits(4) + 1, bits.bits(4) + 1]
  const maxSize = { width: bits.bits(widthBits) + 1, height: bits.bits(heightBits) + 1 }
  const frameIdBits = !reduced && bits.flag() ? bits.bits(4) + 2 + bits.bits(3) + 1 : 0
  bits.skip(3) // use_128x128_superblock, enable_filter_intra, enable_intra_edge_filter
  const tools = reduced ? { screenContentTools: SELECT, integerMv: SELECT, orderHintBits: 0 } : readTools(bits)
  bits.skip(3) // enable_superres, enable_cdef, enable_restoration
  const colour = readColour(bits, profile)
  const { hasDecoderModel, presentationTimeBits } = timing
  const sizes = { maxSize, widthBits, heightBits }
  return { ...sizes, reduced, presentationTimeBits, frameIdBits, hasDecoderModel, ...tools, colour }
}

/** timing_info() and decoder_model_info(). */
function readTiming(bits: BitReader): Timing {
  bits.skip(64) // num_units_in_display_tick, time_scale
  const evenlySpaced = bits.flag()
  if (evenlySpaced) bits.ue() // num_ticks_per_picture_minus_1; uvlc() is the same code
  if (!bits.flag()) return { hasDecoderModel: false, delayBits: 0, presentationTimeBits: 0 }
  const delayBits = bits.bits(5) + 1
  bits.skip(32 + 5) // num_units_in_decoding_tick, buffer_removal_time_length_minus_1
  const presentationTimeBits = bits.bits(5) + 1
  return { hasDecoderModel: true, delayBits, presentationTimeBits: evenlySpaced ? 0 : presentationTimeBits }
}

function skipOperatingPoints(bits: BitReader, { hasDecoderModel, delayBits }: Timing): void {
  const hasDisplayDelay = bits.flag()
  const points = bits.bits(5) + 1
  for (let i = 0; i < points; i++) {
    bits.skip(12) // operating_point_idc
    if (bits.bits(5) > 7) bits.skip(1) // seq_tier
    if (hasDecoderModel && bits.flag()) bits.skip(2 * delayBits + 1)
    if (hasDisplayDelay && bits.flag()) bits.skip(4)
  }
}

function readTools(bits: BitReader): Pick<Av1Sequence, 'screenContentTools' | 'integerMv' | 'orderHintBits'> {
  bits.skip(4) // enable_interintra_compound, enable_masked_compound, enable_warped_motion, enable_dual_filter
  const hasOrderHint = bits.flag()
  if (hasOrderHint) bits.skip(2) // enable_jnt_comp, enable_ref_frame_mvs
  const screenContentTools = bits.flag() ? SELECT : bits.bits(1)
  const integerMv = screenContentTools === 0 || bits.flag() ? SELECT : bits.bits(1)
  return { screenContentTools, integerMv, orderHintBits: hasOrderHint ? bits.bits(3) + 1 : 0 }
}

/** color_config(), §5.5.2, up to the range. */
function readColour(bits: BitReader, profile: number): Colour {
  const highDepth = bits.flag()
  if (profile === 2 && highDepth) bits.skip(1) // twelve_bit
  if (profile !== 1) bits.skip(1) // mono_chrome
  const [primaries = 0, transfer = 0, matrix = 0] = bits.flag()
    ? [bits.bits(8), bits.bits(8), bits.bits(8)]
    : [UNSPECIFIED, UNSPECIFIED, UNSPECIFIED]
  const isRgb = [primaries, transfer, matrix].every((code, i) => code === SRGB[i])
  return { primaries, transfer, matrix, fullRange: isRgb || bits.flag() }
}
