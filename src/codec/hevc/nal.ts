// ITU-T H.265 §7.3.1.2 (NAL unit header), Table 7-1 (types) and §7.3.2.2 (sequence parameter set).
import { AppError } from '../../core/errors.ts'
import type { NalRole, VideoSyntax } from '../access-unit.ts'
import { unescapeNal } from '../annexb.ts'
import { BitReader, readOr } from '../bit-reader.ts'

const VPS = 32
const SPS = 33
const PPS = 34
const DELIMITER = 35
const PREFIX_SEI = 39
const MAX_SIDE = 16_384

export function hevcNalType(nal: Uint8Array): number {
  return ((nal[0] ?? 0) >> 1) & 0x3f
}

const isSlice = (type: number): boolean => type < 32
/** BLA, IDR and CRA pictures and the types kept for more of them. */
const isIrap = (type: number): boolean => type >= 16 && type <= 23

function hevcRole(nal: Uint8Array): NalRole {
  const type = hevcNalType(nal)
  // A NAL unit of a further layer belongs to the picture of the base layer.
  const layer = (((nal[0] ?? 0) & 1) << 5) | ((nal[1] ?? 0) >> 3)
  if (layer > 0 || nal.length < 2) return 'rest'
  // first_slice_segment_in_pic_flag (§7.3.6.1)
  if (isSlice(type)) return (nal[2] ?? 0) & 0x80 ? 'picture' : 'rest'
  if (type === VPS || type === SPS || type === PPS) return 'parameters'
  if (type === DELIMITER) return 'delimiter'
  return type === PREFIX_SEI || (type >= 41 && type <= 44) || (type >= 48 && type <= 55) ? 'prefix' : 'rest'
}

/** The size after the conformance window. Fails with `unsupported-media` when the SPS is cut or out of range. */
export function parseHevcSps(nal: Uint8Array): { width: number; height: number; progressive: boolean } {
  const bits = new BitReader(unescapeNal(nal.subarray(2)))
  skipToSpsId(bits)
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
    throw new AppError('unsupported-media', `HEVC SPS tells an impossible size of ${width}x${height}`)
  }
  return { width, height, progressive: true }
}

function skipToSpsId(bits: BitReader): void {
  bits.skip(4) // sps_video_parameter_set_id
  const subLayers = bits.bits(3) // sps_max_sub_layers_minus1
  bits.skip(1) // sps_temporal_id_nesting_flag
  // profile_tier_level(1, subLayers), §7.3.3
  bits.skip(96) // general profile, tier, compatibility, constraints and level
  const present = Array.from({ length: subLayers }, () => ({ profile: bits.flag(), level: bits.flag() }))
  if (subLayers > 0) bits.skip(2 * (8 - subLayers))
  for (const { profile, level } of present) bits.skip((profile ? 88 : 0) + (level ? 8 : 0))
}

export const hevcSyntax: VideoSyntax = {
  codec: 'hevc',
  role: hevcRole,
  isKeyframe: (nals) => nals.some((nal) => hevcRole(nal) === 'picture' && isIrap(hevcNalType(nal))),
  parameterKinds: ['vps', 'sps', 'pps'],
  parameterSet(nal) {
    const type = hevcNalType(nal)
    const bits = new BitReader(unescapeNal(nal.subarray(2)))
    if (type === VPS) return { kind: 'vps', id: readOr(0, () => bits.bits(4)) }
    if (type === PPS) return { kind: 'pps', id: readOr(0, () => bits.ue()) }
    const id = readOr(0, () => {
      skipToSpsId(bits)
      return bits.ue()
    })
    return { kind: 'sps', id }
  },
  parseSps: parseHevcSps,
  // pic_type 2: any slice types (Table 7-2).
  delimiter: Uint8Array.of(0x46, 0x01, 0x50),
}
