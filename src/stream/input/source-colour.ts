import { nalUnits } from '../../codec/annexb.ts'
import { H264_NAL, h264NalType } from '../../codec/h264/nal.ts'
import { parseH264Sps } from '../../codec/h264/sps.ts'
import type { Colour } from '../../core/media/colour.ts'
import type { EncodedPacket } from '../../core/media/packet.ts'

/** What a keyframe says of its colours; undefined when it says nothing, or in a way that is not read here. */
export function sourceColour({ track, data }: EncodedPacket): Colour | undefined {
  if (track.kind !== 'video' || track.codec !== 'h264') return undefined
  for (const nal of nalUnits(data)) {
    if (h264NalType(nal) !== H264_NAL.sps) continue
    try {
      return parseH264Sps(nal).colour
    } catch {
      return undefined
    }
  }
  return undefined
}
