// Which of the offered codecs are taken: RFC 6184 §8.2.2, RFC 7741 §6.2, RFC 7587 §7.
import { h264Mode, h264Profile, type RtpCodec, retransmissionType } from '../../codec/sdp/media.ts'

export type AgreedCodec = RtpCodec & {
  /** Payload type of retransmissions, if the offerer takes part in them. */
  retransmission: number | undefined
}

/** What this server sends is constrained baseline in mode 1, which every profile but plain baseline contains. */
const PROFILE_ORDER = ['constrained-baseline', 'main', 'high', 'baseline', 'other'] as const

/** The one codec to send: the H.264 that a viewer is most certain to play. */
export function codecToSend(kind: 'audio' | 'video', offered: readonly RtpCodec[]): AgreedCodec[] {
  if (kind === 'audio') return withRepair(offered.filter(isOpus).slice(0, 1), offered)
  const rank = (codec: RtpCodec) =>
    PROFILE_ORDER.indexOf(h264Profile(codec)) + (h264Mode(codec) === 1 ? 0 : PROFILE_ORDER.length)
  return withRepair(
    offered
      .filter(({ name, clockRate }) => name === 'h264' && clockRate === 90_000)
      .sort((a, b) => rank(a) - rank(b))
      .slice(0, 1),
    offered,
  )
}

/**
 * All codecs that can be received, in the order of the publisher, who uses the first one that its media has. Only modes
 * 0 and 1 of H.264 can be put together again; its profile is whatever the encoder sends.
 */
export function codecsToReceive(kind: 'audio' | 'video', offered: readonly RtpCodec[]): AgreedCodec[] {
  if (kind === 'audio') return withRepair(offered.filter(isOpus).slice(0, 1), offered)
  const known = (codec: RtpCodec) => codec.name === 'vp8' || (codec.name === 'h264' && h264Mode(codec) <= 1)
  return withRepair(
    offered.filter((codec) => codec.clockRate === 90_000 && known(codec)),
    offered,
  )
}

const isOpus = ({ name, clockRate }: RtpCodec) => name === 'opus' && clockRate === 48_000

function withRepair(chosen: readonly RtpCodec[], offered: readonly RtpCodec[]): AgreedCodec[] {
  return chosen.map((codec) => ({ ...codec, retransmission: retransmissionType(offered, codec.payloadType) }))
}
