// ITU-T H.264 §E.1.1 and ITU-T H.265 §E.2.1: the beginning of video usability information, the same in both.
// Bound: each bit is read once; a few numbers come out.
import type { Colour } from '../core/media/colour.ts'
import type { BitReader } from './bit-reader.ts'

export type VuiHead = {
  /** Width to height of one sample; undefined if not stated. */
  sampleAspect?: { width: number; height: number }
  /** Undefined if not stated. */
  colour?: Colour
}

/** Table E-1, by aspect_ratio_idc from 1. */
const ASPECTS = [
  [1, 1],
  [12, 11],
  [10, 11],
  [16, 11],
  [40, 33],
  [24, 11],
  [20, 11],
  [32, 11],
  [80, 33],
  [18, 11],
  [15, 11],
  [64, 33],
  [160, 99],
  [4, 3],
  [3, 2],
  [2, 1],
] as const
const EXTENDED_SAR = 255

/** Reads into `vui` up to the chroma sample location, so that what was read before a truncation is kept. */
export function readVuiHead(bits: BitReader, vui: VuiHead): void {
  const aspect = bits.flag() && readAspect(bits)
  if (aspect) vui.sampleAspect = aspect
  if (bits.flag()) bits.skip(1) // overscan_appropriate_flag
  if (bits.flag()) {
    bits.skip(3) // video_format
    const fullRange = bits.flag()
    const described = bits.flag()
    const [primaries, transfer, matrix] = described ? [bits.bits(8), bits.bits(8), bits.bits(8)] : [2, 2, 2]
    vui.colour = { primaries, transfer, matrix, fullRange }
  }
  if (bits.flag()) {
    bits.ue() // chroma_sample_loc_type_top_field
    bits.ue() // chroma_sample_loc_type_bottom_field
  }
}

function readAspect(bits: BitReader): { width: number; height: number } | undefined {
  const idc = bits.bits(8)
  const [width, height] = idc === EXTENDED_SAR ? [bits.bits(16), bits.bits(16)] : (ASPECTS[idc - 1] ?? [0, 0])
  return width > 0 && height > 0 ? { width, height } : undefined
}
