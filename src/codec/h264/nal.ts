// ITU-T H.264 §7.3 and §7.4.1: NAL units of an access unit; Annex D.2.8: recovery point.
// Bound: each byte of a unit is looked at once for each question; a few words and numbers come out.
import type { NalRole, VideoSyntax } from '../access-unit.ts'
import { unescapeNal } from '../annexb.ts'
import { BitReader, readOr } from '../bit-reader.ts'
import { parseH264Sps } from './sps.ts'

/** nal_unit_type, Table 7-1. */
export const H264_NAL = {
  slice: 1,
  partitionA: 2,
  idr: 5,
  sei: 6,
  sps: 7,
  pps: 8,
  delimiter: 9,
  endOfSequence: 10,
  endOfStream: 11,
  filler: 12,
} as const

const RECOVERY_POINT = 6

export function h264NalType(nal: Uint8Array): number {
  return (nal[0] ?? 0) & 0x1f
}

function h264Role(nal: Uint8Array): NalRole {
  switch (h264NalType(nal)) {
    case H264_NAL.slice:
    case H264_NAL.partitionA:
    case H264_NAL.idr:
      // first_mb_in_slice is ue(v): a leading 1 bit means 0 (§7.3.3).
      return (nal[1] ?? 0) & 0x80 ? 'picture' : 'rest'
    case H264_NAL.sps:
    case H264_NAL.pps:
      return 'parameters'
    case H264_NAL.delimiter:
      return 'delimiter'
    case H264_NAL.sei:
    case 14: // prefix NAL unit
    case 15: // subset SPS
    case 16:
    case 17:
    case 18:
      return 'prefix'
    default:
      return 'rest'
  }
}

/**
 * Whether decoding can begin at this access unit: an IDR picture; a picture with a recovery point, as with open GOPs
 * and periodic intra refresh (pictures are complete after its recovery count); or an intra picture with an SPS, from
 * encoders that write neither.
 */
export function isH264Keyframe(nals: readonly Uint8Array[]): boolean {
  const slices = nals.filter((nal) =>
    [H264_NAL.slice, H264_NAL.partitionA, H264_NAL.idr].includes(h264NalType(nal) as 1),
  )
  if (slices.length === 0) return false
  if (slices.some((nal) => h264NalType(nal) === H264_NAL.idr)) return true
  if (nals.some((nal) => h264NalType(nal) === H264_NAL.sei && hasSeiMessage(nal, RECOVERY_POINT))) return true
  return nals.some((nal) => h264NalType(nal) === H264_NAL.sps) && slices.every(isIntraSlice)
}

/** slice_type I or SI, Table 7-6. */
function isIntraSlice(nal: Uint8Array): boolean {
  const bits = new BitReader(unescapeNal(nal.subarray(1, 17)))
  const type = readOr(-1, () => {
    bits.ue() // first_mb_in_slice
    return bits.ue() % 5
  })
  return type === 2 || type === 4
}

/** §7.3.2.3: the messages of an SEI NAL unit; type and size are coded in steps of 255. */
function hasSeiMessage(nal: Uint8Array, wanted: number): boolean {
  const data = unescapeNal(nal.subarray(1))
  const coded = (at: number): { value: number; next: number } => {
    let value = 0
    while (data[at] === 0xff) {
      value += 255
      at++
    }
    return { value: value + (data[at] ?? 0), next: at + 1 }
  }
  // A message has at least two bytes; the rest are trailing bits.
  for (let at = 0; at + 2 <= data.length; ) {
    const type = coded(at)
    if (type.value === wanted) return true
    const size = coded(type.next)
    at = size.next + size.value
  }
  return false
}

export const h264Syntax: VideoSyntax = {
  codec: 'h264',
  role: h264Role,
  isKeyframe: isH264Keyframe,
  parameterKinds: ['sps', 'pps'],
  parameterSet(nal) {
    const sps = h264NalType(nal) === H264_NAL.sps
    const bits = new BitReader(unescapeNal(nal.subarray(sps ? 4 : 1, 16)))
    return { kind: sps ? 'sps' : 'pps', id: readOr(0, () => bits.ue()) }
  },
  parseSps: parseH264Sps,
  // primary_pic_type 7: any slice types (Table 7-5).
  delimiter: Uint8Array.of(0x09, 0xf0),
}
