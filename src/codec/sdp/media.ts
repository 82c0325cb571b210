// RTP attributes of media sections: RFC 8866 §6.6 and §6.15, RFC 4585 §4, RFC 8285 §5, RFC 8853.
// Bound: each line is read once for a section, and what comes of it is no more than the line, but for feedback: 32
// kinds for each of 128 formats.
import { attributeValues, type SdpMedia } from './session.ts'

/** Limit of feedback kinds per codec; browsers list half a dozen. */
const MAX_FEEDBACK = 32
/** Browsers send three. */
const MAX_LAYERS = 8

export type RtpCodec = {
  /** 0 to 127. */
  payloadType: number
  /** Lower case: `h264`, `vp8`, `opus`, `rtx`. */
  name: string
  /** In Hz. */
  clockRate: number
  channels: number
  /** Keys in lower case. */
  parameters: Record<string, string>
  /** As in `a=rtcp-fb`: `nack`, `nack pli`, `ccm fir`, `goog-remb`. */
  feedback: string[]
}

export type HeaderExtension = {
  id: number
  uri: string
  /** From the offerer's side; default `sendrecv`. */
  direction: string
}

/** The codecs of a section in order of preference. */
export function rtpCodecs(media: SdpMedia): RtpCodec[] {
  const maps = byPayloadType(attributeValues(media, 'rtpmap'))
  const parameters = byPayloadType(attributeValues(media, 'fmtp'))
  const feedback = byPayloadType(attributeValues(media, 'rtcp-fb'))
  const everyFormat = firstDistinct(feedback.get('*'))
  return media.formats.flatMap((format) => {
    const [name, clockRate, channels] = maps.get(format)?.[0]?.split('/') ?? []
    const payloadType = Number(format)
    if (!name || !Number.isInteger(payloadType) || payloadType < 0 || payloadType > 127) return []
    return {
      payloadType,
      name: name.toLowerCase(),
      clockRate: Number(clockRate),
      channels: Number(channels ?? 1),
      parameters: parseParameters(parameters.get(format)?.[0] ?? ''),
      feedback: [...firstDistinct(feedback.get(format)), ...everyFormat],
    }
  })
}

function byPayloadType(values: readonly string[]): Map<string, string[]> {
  const map = new Map<string, string[]>()
  for (const value of values) {
    const [payloadType = '', ...rest] = value.split(' ')
    const known = map.get(payloadType)
    if (known) known.push(rest.join(' ').trim())
    else map.set(payloadType, [rest.join(' ').trim()])
  }
  return map
}

/** Limited, because formats and feedback lines multiply. */
function firstDistinct(values: readonly string[] = []): string[] {
  return [...new Set(values.map((one) => one.toLowerCase()))].slice(0, MAX_FEEDBACK)
}

function parseParameters(text: string): Record<string, string> {
  const pairs = text.split(';').map((pair) => pair.trim().split('='))
  return Object.fromEntries(
    pairs.filter(([key]) => key).map(([key, ...value]) => [key!.toLowerCase(), value.join('=')]),
  )
}

/** Payload type that carries retransmissions of `payloadType` (RFC 4588 §8), if offered. */
export function retransmissionType(codecs: readonly RtpCodec[], payloadType: number): number | undefined {
  return codecs.find(({ name, parameters }) => name === 'rtx' && parameters.apt === String(payloadType))?.payloadType
}

/** SSRC of each retransmission stream to that of its media stream (RFC 5576 §4.2, FID groups). */
export function repairStreams(media: SdpMedia): Map<number, number> {
  const groups = attributeValues(media, 'ssrc-group').map((value) => value.split(' '))
  const pairs = groups.filter(([semantics, ...ssrcs]) => semantics === 'FID' && ssrcs.length === 2)
  return new Map(pairs.map(([, stream, repair]) => [Number(repair), Number(stream)]))
}

/** SSRCs that the section declares (RFC 5576 §4.1). */
export function namedStreams(media: SdpMedia): number[] {
  const named = attributeValues(media, 'ssrc').map((value) => Number(value.split(' ')[0]))
  return [...new Set(named)].filter((ssrc) => Number.isInteger(ssrc))
}

/** Parameter sets in the offer (RFC 6184 §8.1, `sprop-parameter-sets`), as NAL units. */
export function h264ParameterSets({ parameters }: RtpCodec): Uint8Array[] {
  return unitsOf(parameters['sprop-parameter-sets'])
}

/** The same for H.265 (RFC 7798 §7.1). */
export function h265ParameterSets({ parameters }: RtpCodec): Uint8Array[] {
  return ['sprop-vps', 'sprop-sps', 'sprop-pps'].flatMap((key) => unitsOf(parameters[key]))
}

function unitsOf(texts = ''): Uint8Array[] {
  return texts
    .split(',')
    .map((text) => new Uint8Array(Buffer.from(text, 'base64')))
    .filter(({ length }) => length > 3)
}

export function headerExtensions(media: SdpMedia): HeaderExtension[] {
  return attributeValues(media, 'extmap').flatMap((value) => {
    const [id = '', uri] = value.split(' ')
    const [number, direction = 'sendrecv'] = id.split('/')
    return uri && Number(number) >= 1 && Number(number) <= 255 ? { id: Number(number), uri, direction } : []
  })
}

/** Names of the layers that the offerer would send, at most eight; their order says nothing about their sizes. */
export function simulcastLayers(media: SdpMedia): string[] {
  const send = /\bsend ([^ ]+)/.exec(attributeValues(media, 'simulcast')[0] ?? '')?.[1]
  // `~` marks a layer that starts paused; `,` separates alternatives of one layer.
  return send ? send.split(';', MAX_LAYERS).map((layer) => layer.split(',')[0]!.replace(/^~/, '')) : []
}

/** Profile of an H.264 payload type by its `profile-level-id` (RFC 6184 §8.1; default: plain baseline). */
export type H264Profile = 'constrained-baseline' | 'baseline' | 'main' | 'high' | 'other'

export function h264Profile(codec: RtpCodec): H264Profile {
  const id = Number.parseInt(codec.parameters['profile-level-id'] ?? '42000a', 16)
  const profile = (id >> 16) & 0xff
  const constraints = (id >> 8) & 0xff
  // Table 5: constraint_set1 on baseline, and constraint_set0 on main, restrict the stream to what both can play.
  if (profile === 0x42) return constraints & 0x40 ? 'constrained-baseline' : 'baseline'
  if (profile === 0x4d) return constraints & 0x80 ? 'constrained-baseline' : 'main'
  if (profile === 0x58 && (constraints & 0xc0) === 0xc0) return 'constrained-baseline'
  if (profile === 0x64) return 'high'
  return 'other'
}

/** Packetization mode (RFC 6184 §8.1); default 0. */
export function h264Mode(codec: RtpCodec): number {
  return Number(codec.parameters['packetization-mode'] ?? 0)
}
