// Writes the answer to an offer: RFC 8829 §5.3.1, RFC 9725 §4.2.

import type { HeaderExtension } from '../../codec/sdp/media.ts'
import type { SdpMedia } from '../../codec/sdp/session.ts'
import { attribute } from '../../codec/sdp/session.ts'
import type { LocalTransport } from '../peer.ts'
import type { AgreedCodec } from './codec-choice.ts'
import { dataLines, USUAL_MAX_MESSAGE_BYTES } from './data-section.ts'
import { type AgreedMedia, type Agreement, FEEDBACK, type MediaFlow } from './negotiate.ts'

/** The streams that we send in one section. */
export type LocalStream = { ssrc: number; retransmissionSsrc?: number; cname: string }

/** `streams` are by section index; a receiving side has none. */
export function writeAnswer(
  agreement: Agreement,
  local: LocalTransport,
  streams: ReadonlyMap<number, LocalStream> = new Map(),
  maxMessageBytes = USUAL_MAX_MESSAGE_BYTES,
): string {
  const { media, idle, data } = agreement
  const answered = [...media, ...idle, ...(data ? [data] : [])].sort((a, b) => a.index - b.index)
  const lines = [
    'v=0',
    `o=- ${Date.now()} 1 IN IP4 127.0.0.1`,
    's=-',
    't=0 0',
    ...(agreement.bundled ? [`a=group:BUNDLE ${answered.map(({ mid }) => mid).join(' ')}`] : []),
    'a=msid-semantic: WMS *',
    'a=ice-lite',
  ]
  for (const [index, section] of agreement.sections.entries()) {
    const agreed = [...media, ...idle].find((one) => one.index === index)
    if (agreed) lines.push(...accepted(agreement, agreed, local, streams.get(index)))
    else if (index === data?.index) lines.push(...dataLines(data, local, maxMessageBytes))
    else lines.push(...rejected(section))
    // A bundle has one set of candidates, in its first section (RFC 8829 §5.3.1).
    if (index === answered[0]?.index) {
      lines.push(...local.candidates.map((candidate) => `a=candidate:${candidate}`), 'a=end-of-candidates')
    }
  }
  return `${lines.join('\r\n')}\r\n`
}

/** A rejected section: unsupported codec or protocol, or outside the bundle. */
function rejected(section: SdpMedia): string[] {
  const line = `m=${section.kind} 0 ${section.protocol} ${section.formats.join(' ')}`
  return [line, 'c=IN IP4 0.0.0.0', ...midLine(section), 'a=inactive']
}

/** Only if the offer has it (RFC 5888 §9.1). */
function midLine(section: SdpMedia): string[] {
  const mid = attribute(section, 'mid')
  return mid === undefined ? [] : [`a=mid:${mid}`]
}

function accepted(
  { flow, idle, sections }: Agreement,
  media: AgreedMedia,
  local: LocalTransport,
  stream: LocalStream | undefined,
): string[] {
  const { codecs } = media
  const isIdle = idle.includes(media)
  const formats = codecs.flatMap(({ payloadType, retransmission }) => [payloadType, retransmission ?? []].flat())
  return [
    `m=${media.kind} 9 ${media.protocol} ${formats.join(' ')}`,
    'c=IN IP4 0.0.0.0',
    'a=rtcp:9 IN IP4 0.0.0.0',
    ...midLine(sections[media.index]!),
    `a=ice-ufrag:${local.ufrag}`,
    `a=ice-pwd:${local.password}`,
    `a=fingerprint:${local.fingerprint.algorithm} ${local.fingerprint.value}`,
    `a=setup:${local.role === 'server' ? 'passive' : 'active'}`,
    isIdle ? 'a=inactive' : flow === 'send' ? 'a=sendonly' : 'a=recvonly',
    'a=rtcp-mux',
    ...(media.reducedSize ? ['a=rtcp-rsize'] : []),
    ...[...media.extensions.values()].map(extensionLine),
    ...codecs.flatMap((codec) => codecLines(codec, flow)),
    ...(isIdle ? [] : layerLines(media.layers)),
    ...(stream ? streamLines(media.kind, stream) : []),
  ]
}

/**
 * In kbit/s. Without it browsers start at 300, too little for 720p: they would start small and grow in steps for half a
 * minute, each a new frame size. Others ignore it.
 */
const START_BITRATE = 'x-google-start-bitrate=2000'

/** What one side only receives, the other only sends (RFC 8285 §6). */
export function extensionLine({ id, uri, direction }: HeaderExtension): string {
  const mirrored = { recvonly: '/sendonly', sendonly: '/recvonly' }[direction] ?? ''
  return `a=extmap:${id}${mirrored} ${uri}`
}

export function codecLines(codec: AgreedCodec, flow: MediaFlow): string[] {
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

export function streamLines(kind: 'audio' | 'video', { ssrc, retransmissionSsrc, cname }: LocalStream): string[] {
  const msid = `millrace ${kind}`
  const ssrcs = retransmissionSsrc === undefined ? [ssrc] : [ssrc, retransmissionSsrc]
  return [
    `a=msid:${msid}`,
    ...(retransmissionSsrc === undefined ? [] : [`a=ssrc-group:FID ${ssrc} ${retransmissionSsrc}`]),
    ...ssrcs.flatMap((one) => [`a=ssrc:${one} cname:${cname}`, `a=ssrc:${one} msid:${msid}`]),
  ]
}
