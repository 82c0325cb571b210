// Codec selection from an offer: RFC 6184 §8.2.2, RFC 7741 §6.2, RFC 7587 §7.
import { h264Mode, h264Profile, type RtpCodec, retransmissionType } from '../../codec/sdp/media.ts'
import { VIDEO_CODECS, VIEWER_CODECS, type VideoCodec, type ViewerCodec } from '../../core/media/packet.ts'

export type AgreedCodec = RtpCodec & {
  /** Payload type of retransmissions, if the offerer supports them. */
  retransmission: number | undefined
}

/** The server sends constrained baseline in mode 1, which every profile but plain baseline includes. */
const PROFILE_ORDER = ['constrained-baseline', 'main', 'high', 'baseline', 'other'] as const

/** The one codec to send: the H.264 variant most likely to play, or VP8 for a viewer without H.264. */
export function codecToSend(
  kind: 'audio' | 'video',
  offered: readonly RtpCodec[],
  sendable: readonly ViewerCodec[] = VIEWER_CODECS,
): AgreedCodec[] {
  if (kind === 'audio') return withRepair(offered.filter(isOpus).slice(0, 1), offered)
  const rank = (codec: RtpCodec) =>
    PROFILE_ORDER.indexOf(h264Profile(codec)) + (h264Mode(codec) === 1 ? 0 : PROFILE_ORDER.length)
  const video = offered.filter(({ clockRate }) => clockRate === 90_000)
  const h264 = video.filter((codec) => codec.name === 'h264' && h264Mode(codec) <= 1).sort((a, b) => rank(a) - rank(b))
  const vp8 = video.filter(({ name }) => name === 'vp8')
  const known = VIEWER_CODECS.filter((codec) => sendable.includes(codec)).flatMap((codec) => ({ h264, vp8 })[codec])
  return withRepair(known.slice(0, 1), offered)
}

/**
 * All codecs that can be received, in the order of the publisher, which uses its first usable one. H.264 needs
 * packetization mode 0 or 1; any profile will do. VP9, AV1 and H.265 are taken only without H.264 and VP8, because they
 * cost both sides more. `readable`: codecs with a decoder.
 */
export function codecsToReceive(
  kind: 'audio' | 'video',
  offered: readonly RtpCodec[],
  readable: readonly VideoCodec[] = VIDEO_CODECS,
): AgreedCodec[] {
  if (kind === 'audio') return withRepair(offered.filter(isOpus).slice(0, 1), offered)
  const known = (codec: RtpCodec) => codec.name === 'vp8' || (codec.name === 'h264' && h264Mode(codec) <= 1)
  const names = readable.map(rtpName)
  const video = offered.filter(({ name, clockRate }) => clockRate === 90_000 && names.includes(name))
  const usual = video.filter(known)
  return withRepair(usual.length > 0 ? usual : video.filter(isReadable), offered)
}

/** Names of accepted codecs, for the error to a client with no common codec. */
export function acceptedCodecs(
  kind: 'audio' | 'video',
  flow: 'send' | 'receive',
  coded: readonly VideoCodec[] = VIDEO_CODECS,
): string[] {
  if (kind === 'audio') return ['opus']
  const all = flow === 'send' ? VIEWER_CODECS : RECEIVED
  return all.filter((codec) => coded.includes(codec)).map(rtpName)
}

const RECEIVED: readonly VideoCodec[] = ['h264', 'vp8', 'vp9', 'av1', 'hevc']

/** In RTP HEVC is called H265 (RFC 7798 §7.1). */
const rtpName = (codec: VideoCodec): string => (codec === 'hevc' ? 'h265' : codec)

/** Which variants of the other codecs can be depacketized; without parameters, the simplest. */
function isReadable({ name, parameters }: RtpCodec): boolean {
  const number = (key: string) => Number(parameters[key] ?? 0)
  // Profile 0 is the one with 4:2:0 (RFC 9628 §6; AV1 RTP specification §7.2).
  if (name === 'vp9') return number('profile-id') === 0
  if (name === 'av1') return number('profile') === 0
  // One stream in decoding order (RFC 7798 §7.1).
  return name === 'h265' && number('sprop-max-don-diff') === 0 && (parameters['tx-mode'] ?? 'SRST') === 'SRST'
}

const isOpus = ({ name, clockRate }: RtpCodec) => name === 'opus' && clockRate === 48_000

function withRepair(chosen: readonly RtpCodec[], offered: readonly RtpCodec[]): AgreedCodec[] {
  return chosen.map((codec) => ({ ...codec, retransmission: retransmissionType(offered, codec.payloadType) }))
}
