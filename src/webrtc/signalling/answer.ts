// Writes the answer to an offer: RFC 8829 §5.3.1, RFC 9725 §4.2.

import type { HeaderExtension } from '../../codec/sdp/media.ts'
import type { SdpMedia } from '../../codec/sdp/session.ts'
import { attribute } from '../../codec/sdp/session.ts'
import type { LocalTransport } from '../peer.ts'
import type { AgreedCodec } from './codec-choice.ts'
import { type AgreedMedia, type Agreement, FEEDBACK, type MediaFlow } from './negotiate.ts'

/** The streams that we send in one section. */
export type LocalStream = { ssrc: number; retransmissionSsrc?: number; cname: string }

/** `streams` are by index of the section; a receiving side has none. */
export function writeAnswer(
  agreement: Agreement,
  local: LocalTransport,
  streams: ReadonlyMap<number, LocalStream> = new Map(),
): string {
  const mids = agreement.media.map(({ mid }) => mid).join(' ')
  const lines = [
    'v=0',
    `o=- ${Date.now()} 1 IN IP4 127.0.0.1`,
    's=-',
    't=0 0',
    `a=group:BUNDLE ${mids}`,
    'a=msid-semantic: WMS *',
    'a=ice-lite',
  ]
  const first = agreement.media[0]!.index
  for (const [index, section] of agreement.sections.entries()) {
    const agreed = agreement.media.find((media) => media.index === index)
    if (!agreed) lines.push(...refused(section))
    else lines.push(...accepted(agreement, agreed, local, streams.get(index), index === first))
  }
  return `${lines.join('\r\n')}\r\n`
}

/** A section of a kind that is not served, such as a data channel. */
function refused(section: SdpMedia): string[] {
  const mid = attribute(section, 'mid')
  const line = `m=${section.kind} 0 ${section.protocol} ${section.formats.join(' ')}`
  return [line, 'c=IN IP4 0.0.0.0', ...(mid === undefined ? [] : [`a=mid:${mid}`]), 'a=inactive']
}

function accepted(
  { flow }: Agreement,
  media: AgreedMedia,
  local: LocalTransport,
  stream: LocalStream | undefined,
  first: boolean,
): string[] {
  const { codecs } = media
  const formats = codecs.flatMap(({ payloadType, retransmission }) => [payloadType, retransmission ?? []].flat())
  return [
    `m=${media.kind} 9 ${media.protocol} ${formats.join(' ')}`,
    'c=IN IP4 0.0.0.0',
    'a=rtcp:9 IN IP4 0.0.0.0',
    `a=mid:${media.mid}`,
    `a=ice-ufrag:${local.ufrag}`,
    `a=ice-pwd:${local.password}`,
    `a=fingerprint:${local.fingerprint.algorithm} ${local.fingerprint.value}`,
    `a=setup:${local.role === 'server' ? 'passive' : 'active'}`,
    flow === 'send' ? 'a=sendonly' : 'a=recvonly',
    'a=rtcp-mux',
    ...(media.reducedSize ? ['a=rtcp-rsize'] : []),
    ...[...media.extensions.values()].map(extensionLine),
    ...codecs.flatMap((codec) => codecLines(codec, flow)),
    ...layerLines(media.layers),
    ...(stream ? streamLines(media, stream) : []),
    // A bundle has one set of candidates, in its first section (RFC 8829 §5.3.1).
    ...(first ? [...local.candidates.map((candidate) => `a=candidate:${candidate}`), 'a=end-of-candidates'] : []),
  ]
}

/**
 * In kbit/s. Browsers begin at 300 without it, too little for 720p: they would start small and grow in steps for half
 * a minute, each a new frame size. Others pass it over.
 */
const START_BITRATE = 'x-google-start-bitrate=2000'

/** What one side only receives, the other only sends (RFC 8285 §6). */
function extensionLine({ id, uri, direction }: HeaderExtension): string {
  const mirrored = { recvonly: '/sendonly', sendonly: '/recvonly' }[direction] ?? ''
  return `a=extmap:${id}${mirrored} ${uri}`
}

function codecLines(codec: AgreedCodec, flow: MediaFlow): string[] {
  const { payloadType, name, clockRate, channels, retransmission } = codec
  const spelled = name === 'opus' ? name : name.toUpperCase()
  const echoed = Object.entries(codec.parameters).filter(([key]) => !key.startsWith('sprop-'))
  const parameters = echoed.map(([key, value]) => (value === '' ? key : `${key}=${value}`))
  if (flow === 'receive' && codec.feedback.includes('goog-remb')) parameters.push(START_BITRATE)
  return [
    `a=rtpmap:${payloadType} ${spelled}/${clockRate}${channels > 1 ? `/${channels}` : ''}`,
    ...(parameters.length > 0 ? [`a=fmtp:${payloadType} ${parameters.join(';')}`] : []),
    ...codec.feedback.filter((one) => FEEDBACK[flow].includes(one)).map((one) => `a=rtcp-fb:${payloadType} ${one}`),
    ...(retransmission === undefined
      ? []
      : [`a=rtpmap:${retransmission} rtx/${clockRate}`, `a=fmtp:${retransmission} apt=${payloadType}`]),
  ]
}

/** The offerer sends the layers, so here they are received (RFC 8853 §5.3.2). */
function layerLines(layers: readonly string[]): string[] {
  if (layers.length === 0) return []
  return [...layers.map((layer) => `a=rid:${layer} recv`), `a=simulcast:recv ${layers.join(';')}`]
}

function streamLines({ kind }: AgreedMedia, { ssrc, retransmissionSsrc, cname }: LocalStream): string[] {
  const msid = `millrace ${kind}`
  const ssrcs = retransmissionSsrc === undefined ? [ssrc] : [ssrc, retransmissionSsrc]
  return [
    `a=msid:${msid}`,
    ...(retransmissionSsrc === undefined ? [] : [`a=ssrc-group:FID ${ssrc} ${retransmissionSsrc}`]),
    ...ssrcs.flatMap((one) => [`a=ssrc:${one} cname:${cname}`, `a=ssrc:${one} msid:${msid}`]),
  ]
}
