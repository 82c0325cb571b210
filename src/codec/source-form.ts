// How a keyframe's frames are to be displayed: ITU-T H.264 Annex E, ITU-T H.265 Annex E, VP9 bitstream specification
// §7.2.2, AV1 bitstream specification §5.5.2.
// Bound: that of the header that it reads, once for each keyframe; a few numbers come out.
import { type Colour, DEFAULT_COLOUR, sameColour } from '../core/media/colour.ts'
import type { VideoCodec } from '../core/media/packet.ts'
import { nalUnits } from './annexb.ts'
import { av1Colour } from './av1/obu.ts'
import { readOr } from './bit-reader.ts'
import { H264_NAL, h264NalType } from './h264/nal.ts'
import { parseH264Sps } from './h264/sps.ts'
import { HEVC_SPS, hevcNalType } from './hevc/nal.ts'
import { parseHevcSps } from './hevc/sps.ts'
import { vp9KeyframeHeader } from './rtp/vp9.ts'
import type { VuiHead } from './vui.ts'

export type SourceForm = {
  /** Undefined if not stated. */
  colour?: Colour
  /** Width to height of one pixel; undefined if not stated or square. */
  pixelAspect?: { width: number; height: number }
  /** Frames may consist of two fields each; the frames themselves say which do. */
  interlaced?: boolean
  /** Each picture is one field of a frame. */
  fields?: boolean
}

/** A more extreme aspect means a damaged header. */
const MAX_ASPECT = 4

/** Reads a keyframe; undefined if it states nothing that is used here. VP8 has only one form. */
export function sourceForm(codec: VideoCodec, data: Uint8Array): SourceForm | undefined {
  return readOr(undefined, () => READERS[codec](data))
}

const READERS: Record<VideoCodec, (data: Uint8Array) => SourceForm | undefined> = {
  h264: (data) => {
    const sps = nalUnits(data).findLast((nal) => h264NalType(nal) === H264_NAL.sps)
    if (!sps) return undefined
    const { progressive, ...vui } = parseH264Sps(sps)
    return { ...vuiForm(vui), interlaced: !progressive }
  },
  hevc: (data) => {
    const sps = nalUnits(data).findLast((nal) => hevcNalType(nal) === HEVC_SPS)
    if (!sps) return undefined
    const { fields, ...vui } = parseHevcSps(sps)
    return { ...vuiForm(vui), interlaced: fields, fields }
  },
  vp8: () => ({}),
  av1: (data) => {
    const colour = av1Colour(data)
    return colour && { colour }
  },
  vp9: (data) => {
    const header = vp9KeyframeHeader(data)
    return header && { colour: header.colour }
  },
}

function vuiForm({ colour, sampleAspect }: VuiHead): SourceForm {
  const ratio = sampleAspect ? sampleAspect.width / sampleAspect.height : 1
  const strange = ratio === 1 || Math.max(ratio, 1 / ratio) > MAX_ASPECT
  return { ...(colour && { colour }), ...(sampleAspect && !strange && { pixelAspect: sampleAspect }) }
}

/** Whether both need the same conversion for display. */
export function sameSource(a: SourceForm = {}, b: SourceForm = {}): boolean {
  return (
    sameColour(a.colour ?? DEFAULT_COLOUR, b.colour ?? DEFAULT_COLOUR) &&
    a.pixelAspect?.width === b.pixelAspect?.width &&
    a.pixelAspect?.height === b.pixelAspect?.height &&
    (a.interlaced ?? false) === (b.interlaced ?? false) &&
    (a.fields ?? false) === (b.fields ?? false)
  )
}
