// ITU-T H.265 §7.3.1.2 (NAL unit header) and Table 7-1 (types).
// Bound: each byte of a unit is looked at once for each question; a few words and numbers come out.
import type { NalRole, VideoSyntax } from '../access-unit.ts'
import { unescapeNal } from '../annexb.ts'
import { BitReader, readOr } from '../bit-reader.ts'
import { parseHevcSps, skipToHevcSpsId } from './sps.ts'

const VPS = 32
export const HEVC_SPS = 33
const PPS = 34
const DELIMITER = 35
const PREFIX_SEI = 39

export function hevcNalType(nal: Uint8Array): number {
  return ((nal[0] ?? 0) >> 1) & 0x3f
}

const isSlice = (type: number): boolean => type < 32
/** BLA, IDR and CRA pictures, and the reserved IRAP types. */
const isIrap = (type: number): boolean => type >= 16 && type <= 23

function hevcRole(nal: Uint8Array): NalRole {
  const type = hevcNalType(nal)
  // A NAL unit of an enhancement layer belongs to the base layer's picture.
  const layer = (((nal[0] ?? 0) & 1) << 5) | ((nal[1] ?? 0) >> 3)
  if (layer > 0 || nal.length < 2) return 'rest'
  // first_slice_segment_in_pic_flag (§7.3.6.1)
  if (isSlice(type)) return (nal[2] ?? 0) & 0x80 ? 'picture' : 'rest'
  if (type === VPS || type === HEVC_SPS || type === PPS) return 'parameters'
  if (type === DELIMITER) return 'delimiter'
  return type === PREFIX_SEI || (type >= 41 && type <= 44) || (type >= 48 && type <= 55) ? 'prefix' : 'rest'
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
      skipToHevcSpsId(bits)
      return bits.ue()
    })
    return { kind: 'sps', id }
  },
  parseSps: parseHevcSps,
  // pic_type 2: any slice types (Table 7-2).
  delimiter: Uint8Array.of(0x46, 0x01, 0x50),
}
