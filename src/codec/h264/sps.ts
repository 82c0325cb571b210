// ITU-T H.264 §7.3.2.1.1 (sequence parameter set) and Annex E (video usability information).
// Bound: each bit is read once, and every count ends where the bits do; a few numbers come out.

import { AppError } from '../../core/errors.ts'
import { unescapeNal } from '../annexb.ts'
import { BitReader, readOr } from '../bit-reader.ts'
import { readVuiHead, type VuiHead } from '../vui.ts'

export type H264Sps = VuiHead & {
  id: number
  /** profile_idc: 66 Baseline, 77 Main, 100 High and so on (Annex A). */
  profile: number
  /** The byte of constraint_set flags that follows profile_idc. */
  constraints: number
  /** level_idc: ten times the level. */
  level: number
  /** In pixels, after cropping. */
  width: number
  /** In pixels, after cropping. */
  height: number
  /** False if pictures may be coded as fields. */
  progressive: boolean
  /** Declared frames per second; undefined if not declared. */
  frameRate?: number
  /** Frames that may be delayed for reordering (max_num_reorder_frames); undefined if not declared. */
  reorderFrames?: number
}

/** Profiles whose SPS has the chroma format (§7.3.2.1.1). */
const WITH_CHROMA = new Set([100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135])

/** In practice level 6.2 ends at 16,384 pixels per side; more means a damaged header. */
const MAX_SIDE = 16_384

/** Parses an SPS NAL unit, including its header byte. Throws `unsupported-media` if it is truncated or out of range. */
export function parseH264Sps(nal: Uint8Array): H264Sps {
  const bits = new BitReader(unescapeNal(nal.subarray(1)))
  const profile = bits.bits(8)
  const constraints = bits.bits(8)
  const level = bits.bits(8)
  const id = bits.ue()
  const chroma = WITH_CHROMA.has(profile) ? readChroma(bits) : { format: 1, separate: false }

  bits.ue() // log2_max_frame_num_minus4
  skipOrderCount(bits)
  bits.ue() // max_num_ref_frames
  bits.skip(1) // gaps_in_frame_num_value_allowed_flag
  const widthInMbs = bits.ue() + 1
  const heightInMapUnits = bits.ue() + 1
  const progressive = bits.flag() // frame_mbs_only_flag
  if (!progressive) bits.skip(1) // mb_adaptive_frame_field_flag
  bits.skip(1) // direct_8x8_inference_flag
  const crop = bits.flag() ? [bits.ue(), bits.ue(), bits.ue(), bits.ue()] : [0, 0, 0, 0]
  const [left = 0, right = 0, top = 0, bottom = 0] = crop

  // Equations 7-19 to 7-22: the crop counts in chroma samples, and in pairs of rows if fields are possible.
  const sampled = chroma.format === 0 || chroma.separate
  const cropX = !sampled && chroma.format < 3 ? 2 : 1
  const cropY = (!sampled && chroma.format === 1 ? 2 : 1) * (progressive ? 1 : 2)
  const width = widthInMbs * 16 - (left + right) * cropX
  const height = heightInMapUnits * 16 * (progressive ? 1 : 2) - (top + bottom) * cropY
  if (width < 1 || height < 1 || width > MAX_SIDE || height > MAX_SIDE || id > 31) {
    throw new AppError('unsupported-media', `H.264 SPS ${id} has an invalid size of ${width}x${height}`)
  }
  return {
    id,
    profile,
    constraints,
    level,
    width,
    height,
    progressive,
    ...(readOr(false, () => bits.flag()) && readVui(bits)),
  }
}

function readChroma(bits: BitReader): { format: number; separate: boolean } {
  const format = bits.ue()
  if (format > 3) throw new AppError('unsupported-media', `the H.264 SPS has an unknown chroma format ${format}`)
  const separate = format === 3 && bits.flag()
  bits.ue() // bit_depth_luma_minus8
  bits.ue() // bit_depth_chroma_minus8
  bits.skip(1) // qpprime_y_zero_transform_bypass_flag
  if (bits.flag()) {
    const lists = format === 3 ? 12 : 8
    for (let i = 0; i < lists; i++) if (bits.flag()) skipScalingList(bits, i < 6 ? 16 : 64)
  }
  return { format, separate }
}

/** §7.3.2.1.1.1 */
function skipScalingList(bits: BitReader, size: number): void {
  let last = 8
  for (let i = 0; i < size; i++) {
    const next = (last + bits.se() + 256) % 256
    if (next === 0) return
    last = next
  }
}

function skipOrderCount(bits: BitReader): void {
  const type = bits.ue()
  if (type === 0) bits.ue() // log2_max_pic_order_cnt_lsb_minus4
  if (type !== 1) return
  bits.skip(1) // delta_pic_order_always_zero_flag
  bits.se() // offset_for_non_ref_pic
  bits.se() // offset_for_top_to_bottom_field
  const cycle = bits.ue()
  for (let i = 0; i < cycle; i++) bits.se()
}

/** Annex E.1.1. A truncated part is ignored: encoders that write a damaged tail still state their size. */
function readVui(bits: BitReader): Partial<H264Sps> {
  const vui: Partial<H264Sps> = {}
  readOr(undefined, () => {
    readVuiHead(bits, vui)
    if (bits.flag()) {
      const units = bits.bits(32)
      const scale = bits.bits(32)
      bits.skip(1) // fixed_frame_rate_flag
      // A tick is the time of a field (E.2.1), so a frame takes two.
      if (units > 0 && scale > 0) vui.frameRate = scale / units / 2
    }
    const nalHrd = bits.flag()
    if (nalHrd) skipHrd(bits)
    const vclHrd = bits.flag()
    if (vclHrd) skipHrd(bits)
    if (nalHrd || vclHrd) bits.skip(1) // low_delay_hrd_flag
    bits.skip(1) // pic_struct_present_flag
    if (bits.flag()) {
      bits.skip(1) // motion_vectors_over_pic_boundaries_flag
      for (let i = 0; i < 4; i++) bits.ue() // size limits and vector ranges
      vui.reorderFrames = bits.ue()
    }
  })
  return vui
}

/** Annex E.1.2 */
function skipHrd(bits: BitReader): void {
  const count = bits.ue() + 1
  bits.skip(8) // bit_rate_scale, cpb_size_scale
  for (let i = 0; i < count; i++) {
    bits.ue() // bit_rate_value_minus1
    bits.ue() // cpb_size_value_minus1
    bits.skip(1) // cbr_flag
  }
  bits.skip(20) // delay and time offset lengths
}
