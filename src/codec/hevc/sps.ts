// ITU-T H.265 §7.3.2.2 (sequence parameter set), §7.3.3, §7.3.4, §7.3.7 and Annex E (video usability information).
// Bound: each bit is read once, and every count ends where the bits do; a few numbers come out.
import { AppError } from '../../core/errors.ts'
import { unescapeNal } from '../annexb.ts'
import { BitReader, readOr } from '../bit-reader.ts'
import { readVuiHead, type VuiHead } from '../vui.ts'

export type HevcSps = VuiHead & {
  /** In pixels, after the conformance window; of one field if pictures are fields. */
  width: number
  /** In pixels, after the conformance window; of one field if pictures are fields. */
  height: number
  /** Always true: HEVC codes a field as a picture of its own, so pictures are never combined. */
  progressive: boolean
  /** Each picture is one field of a frame (field_seq_flag). */
  fields: boolean
}

const MAX_SIDE = 16_384
/** num_short_term_ref_pic_sets, and pictures per set (§7.4.3.2.1, §7.4.8); more means a damaged header. */
const MAX_PICTURE_SETS = 64
const MAX_PICTURES = 16

/**
 * Parses an SPS NAL unit, including its header. Throws `unsupported-media` if it is truncated before its size or out of
 * range.
 */
export function parseHevcSps(nal: Uint8Array): HevcSps {
  const bits = new BitReader(unescapeNal(nal.subarray(2)))
  const subLayers = skipToHevcSpsId(bits)
  bits.ue() // sps_seq_parameter_set_id
  const chroma = bits.ue()
  if (chroma === 3) bits.skip(1) // separate_colour_plane_flag
  const codedWidth = bits.ue()
  const codedHeight = bits.ue()
  const [left = 0, right = 0, top = 0, bottom = 0] = bits.flag() ? [bits.ue(), bits.ue(), bits.ue(), bits.ue()] : []
  // SubWidthC and SubHeightC, Table 6-1.
  const width = codedWidth - (left + right) * (chroma === 1 || chroma === 2 ? 2 : 1)
  const height = codedHeight - (top + bottom) * (chroma === 1 ? 2 : 1)
  if (chroma > 3 || width < 1 || height < 1 || width > MAX_SIDE || height > MAX_SIDE) {
    throw new AppError('unsupported-media', `the HEVC SPS has an invalid size of ${width}x${height}`)
  }
  const sps: HevcSps = { width, height, progressive: true, fields: false }
  // A truncated part is ignored.
  readOr(undefined, () => readVui(bits, subLayers, sps))
  return sps
}

/** Returns sps_max_sub_layers_minus1. */
export function skipToHevcSpsId(bits: BitReader): number {
  bits.skip(4) // sps_video_parameter_set_id
  const subLayers = bits.bits(3)
  bits.skip(1) // sps_temporal_id_nesting_flag
  // profile_tier_level(1, subLayers), §7.3.3
  bits.skip(96) // general profile, tier, compatibility, constraints and level
  const present = Array.from({ length: subLayers }, () => ({ profile: bits.flag(), level: bits.flag() }))
  if (subLayers > 0) bits.skip(2 * (8 - subLayers))
  for (const { profile, level } of present) bits.skip((profile ? 88 : 0) + (level ? 8 : 0))
  return subLayers
}

/** From after the conformance window to the field flags of the VUI. */
function readVui(bits: BitReader, subLayers: number, sps: HevcSps): void {
  bits.ue() // bit_depth_luma_minus8
  bits.ue() // bit_depth_chroma_minus8
  const orderCountBits = bits.ue() + 4
  // sps_max_dec_pic_buffering_minus1, sps_max_num_reorder_pics and sps_max_latency_increase_plus1
  for (let i = bits.flag() ? 0 : subLayers; i <= subLayers; i++) skipCodes(bits, 3)
  skipCodes(bits, 6) // sizes of coding and transform blocks, depths of transform trees
  if (bits.flag() && bits.flag()) skipScalingLists(bits)
  bits.skip(2) // amp_enabled_flag, sample_adaptive_offset_enabled_flag
  if (bits.flag()) {
    bits.skip(8) // pcm_sample_bit_depth_luma_minus1, pcm_sample_bit_depth_chroma_minus1
    skipCodes(bits, 2)
    bits.skip(1) // pcm_loop_filter_disabled_flag
  }
  skipPictureSets(bits)
  if (bits.flag()) {
    const pictures = bits.ue()
    for (let i = 0; i < pictures; i++) bits.skip(orderCountBits + 1)
  }
  bits.skip(2) // sps_temporal_mvp_enabled_flag, strong_intra_smoothing_enabled_flag
  if (!bits.flag()) return
  readVuiHead(bits, sps)
  bits.skip(1) // neutral_chroma_indication_flag
  sps.fields = bits.flag()
}

function skipCodes(bits: BitReader, count: number): void {
  for (let i = 0; i < count; i++) bits.ue()
}

/** §7.3.4 */
function skipScalingLists(bits: BitReader): void {
  for (let size = 0; size < 4; size++) {
    for (let matrix = 0; matrix < 6; matrix += size === 3 ? 3 : 1) {
      if (!bits.flag())
        bits.ue() // scaling_list_pred_matrix_id_delta
      else skipCodes(bits, Math.min(64, 1 << (4 + 2 * size)) + (size > 1 ? 1 : 0))
    }
  }
}

/** §7.3.7: each st_ref_pic_set, whose length may depend on the picture count of the previous one. */
function skipPictureSets(bits: BitReader): void {
  const sets = bits.ue()
  if (sets > MAX_PICTURE_SETS) throw tooMany(sets)
  let before = 0
  for (let set = 0; set < sets; set++) {
    const predicted = set > 0 && bits.flag()
    let pictures = 0
    if (predicted) {
      bits.skip(1) // delta_rps_sign
      bits.ue() // abs_delta_rps_minus1
      // used_by_curr_pic_flag, or else use_delta_flag
      for (let i = 0; i <= before; i++) if (bits.flag() || bits.flag()) pictures++
    } else {
      pictures = bits.ue() + bits.ue() // num_negative_pics, num_positive_pics
      if (pictures > MAX_PICTURES) throw tooMany(pictures)
      for (let i = 0; i < pictures; i++) {
        bits.ue() // delta_poc_s0_minus1 or delta_poc_s1_minus1
        bits.skip(1) // used_by_curr_pic_s0_flag or used_by_curr_pic_s1_flag
      }
    }
    before = pictures
  }
}

function tooMany(count: number): AppError {
  return new AppError('unsupported-media', `the HEVC SPS has ${count} reference pictures or sets`)
}
