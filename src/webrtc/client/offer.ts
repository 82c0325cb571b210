// Our offer to a WHIP or WHEP endpoint: RFC 9725 §4.2, RFC 8829 §5.2.1; and parts of its answer: RFC 8839 §5.1.
import { isIP } from 'node:net'
import { type RtpCodec, rtpCodecs } from '../../codec/sdp/media.ts'
import { attributeValues, type Sdp, type SdpMedia } from '../../codec/sdp/session.ts'
import type { Address } from '../ice/port.ts'
import { codecLines, extensionLine, type LocalStream, streamLines } from '../signalling/answer.ts'
import { SCTP_PORT, USUAL_MAX_MESSAGE_BYTES } from '../signalling/data-section.ts'
import { EXTENSIONS, type MediaFlow } from '../signalling/negotiate.ts'
import type { OfferedTransport } from './caller.ts'

export type OfferedStreams = Partial<Record<'audio' | 'video', LocalStream>>

/** Sections of an offer; default: one of video and one of audio. */
export type OfferedSections = {
  video?: number
  audio?: number
  /** Adds a section of data channels. */
  data?: boolean
}

const FEEDBACK = ['nack', 'nack pli', 'ccm fir', 'transport-cc']
const h264 = (payloadType: number, profile: string) =>
  video(payloadType, 'h264', { 'level-asymmetry-allowed': '1', 'packetization-mode': '1', 'profile-level-id': profile })

/** The output's codec: H.264 constrained baseline, packetization mode 1. */
const SENT = [h264(102, '42e01f')]
/** Codecs that can be depacketized, the cheapest to decode first. */
const READ = [
  ...[h264(102, '42e01f'), h264(104, '4d001f'), h264(106, '640c1f')],
  ...[video(96, 'vp8'), video(108, 'h265'), video(98, 'vp9', { 'profile-id': '0' }), video(112, 'av1')],
]
const OPUS: RtpCodec = {
  ...{ payloadType: 111, name: 'opus', clockRate: 48_000, channels: 2, feedback: [] },
  parameters: { minptime: '10', useinbandfec: '1', stereo: '1', 'sprop-stereo': '1' },
}

/** Some servers fill it with silence when they have no other audio, and fail without it; it is not read. */
const SILENCE = { payloadType: 0, name: 'pcmu', clockRate: 8000, channels: 1, feedback: [], parameters: {} }

const SEND_EXTENSIONS = [EXTENSIONS.absoluteSendTime]
const READ_EXTENSIONS = [EXTENSIONS.transportSequence, EXTENSIONS.mid]

/** All sections in one bundle, video first; `streams` are sent in the first section of their kind. */
export function writeOffer(
  flow: MediaFlow,
  local: OfferedTransport,
  streams: OfferedStreams = {},
  { video = 1, audio = 1, data = false }: OfferedSections = {},
): string {
  const kinds = [...Array<'video'>(video).fill('video'), ...Array<'audio'>(audio).fill('audio')]
  const udp = local.candidates.filter((one) => one.includes(' udp '))
  const candidates = [...udp.map((one) => `a=candidate:${one}`), 'a=end-of-candidates']
  const sections = kinds.map((kind, mid) => {
    const stream = kinds.indexOf(kind) === mid ? streams[kind] : undefined
    return mediaLines(kind, mid, flow, local, stream)
  })
  if (data) sections.push(channelLines(kinds.length, local))
  sections[0]!.push(...candidates)
  const bundle = `a=group:BUNDLE ${[...sections.keys()].join(' ')}`
  const head = ['v=0', `o=- ${Date.now()} 1 IN IP4 127.0.0.1`, 's=-', 't=0 0', bundle, 'a=msid-semantic: WMS *']
  return `${[...head, ...sections.flat()].join('\r\n')}\r\n`
}

function transportLines(mid: number, { ufrag, password, fingerprint }: OfferedTransport): string[] {
  return [
    ...[`a=mid:${mid}`, `a=ice-ufrag:${ufrag}`, `a=ice-pwd:${password}`],
    ...[`a=fingerprint:${fingerprint.algorithm} ${fingerprint.value}`, 'a=setup:actpass'],
  ]
}

function mediaLines(
  kind: 'audio' | 'video',
  mid: number,
  flow: MediaFlow,
  local: OfferedTransport,
  stream: LocalStream | undefined,
): string[] {
  const extensions = flow === 'send' ? SEND_EXTENSIONS : READ_EXTENSIONS
  const codecs = { audio: flow === 'send' ? [OPUS] : [OPUS, SILENCE], video: flow === 'send' ? SENT : READ }[kind]
  const repaired = codecs.map((codec) => ({
    ...codec,
    retransmission: kind === 'video' ? codec.payloadType + 1 : undefined,
  }))
  const formats = repaired.flatMap(({ payloadType, retransmission }) => [payloadType, retransmission ?? []].flat())
  return [
    `m=${kind} 9 UDP/TLS/RTP/SAVPF ${formats.join(' ')}`,
    ...['c=IN IP4 0.0.0.0', 'a=rtcp:9 IN IP4 0.0.0.0', ...transportLines(mid, local)],
    ...[flow === 'send' ? 'a=sendonly' : 'a=recvonly', 'a=rtcp-mux', 'a=rtcp-rsize'],
    ...extensions.map((uri, at) => extensionLine({ id: at + 1, uri, direction: 'sendrecv' })),
    ...repaired.flatMap((codec) => codecLines(codec, flow)),
    ...(stream ? streamLines(kind, stream) : []),
  ]
}

function channelLines(mid: number, local: OfferedTransport): string[] {
  return [
    ...['m=application 9 UDP/DTLS/SCTP webrtc-datachannel', 'c=IN IP4 0.0.0.0', ...transportLines(mid, local)],
    ...[`a=sctp-port:${SCTP_PORT}`, `a=max-message-size:${USUAL_MAX_MESSAGE_BYTES}`],
  ]
}

/** The answer without the sections whose audio is not read, because the offer's other sections are what matters. */
export function withoutSilence(answer: Sdp): Sdp {
  const isRead = (section: SdpMedia) =>
    section.kind !== 'audio' || rtpCodecs(section).some(({ name }) => name === 'opus')
  return { ...answer, media: answer.media.map((section) => (isRead(section) ? section : { ...section, port: 0 })) }
}

/** The UDP addresses that an answer names, without duplicates; host names are skipped. */
export function namedAddresses(answer: Sdp): Address[] {
  const lines = [answer, ...answer.media].flatMap((section) => attributeValues(section, 'candidate'))
  const addresses = lines.flatMap((line) => {
    const [, component, transport = '', , address = '', port] = line.split(/ +/)
    const usable = component === '1' && /^udp$/i.test(transport) && isIP(address) && Number(port) > 0
    return usable ? [{ address, port: Number(port) }] : []
  })
  return [...new Map(addresses.map((one) => [`${one.address} ${one.port}`, one])).values()]
}

/** Its retransmissions use the next payload type. */
function video(payloadType: number, name: string, parameters: Record<string, string> = {}): RtpCodec {
  return { payloadType, name, clockRate: 90_000, channels: 1, parameters, feedback: FEEDBACK }
}
