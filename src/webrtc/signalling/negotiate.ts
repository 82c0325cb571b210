// Offer negotiation: RFC 9725 §4.2, RFC 8829 §5.3, RFC 9143.

import {
  type HeaderExtension,
  headerExtensions,
  type RtpCodec,
  repairStreams,
  rtpCodecs,
  simulcastLayers,
} from '../../codec/sdp/media.ts'
import { attribute, attributeValues, direction, inherited, type Sdp, type SdpMedia } from '../../codec/sdp/session.ts'
import { AppError } from '../../core/errors.ts'
import { VIDEO_CODECS, VIEWER_CODECS, type VideoCodec, type ViewerCodec } from '../../core/media/packet.ts'
import type { RemoteTransport } from '../peer.ts'
import { type AgreedCodec, acceptedCodecs, codecsToReceive, codecToSend } from './codec-choice.ts'
import { type AgreedData, agreeData } from './data-section.ts'

/** The codec of the sent video; undefined if none is sent. */
export function sentVideoCodec({ media }: Agreement): ViewerCodec | undefined {
  return media.find(({ kind }) => kind === 'video')?.codecs[0]?.name as ViewerCodec | undefined
}

/** Direction of media: `send` to a viewer, `receive` from a publisher. */
export type MediaFlow = 'send' | 'receive'

export type AgreedMedia = {
  /** Index of the section in the offer. */
  index: number
  mid: string
  kind: 'audio' | 'video'
  protocol: string
  /** At least one; the first is the offerer's favourite. */
  codecs: AgreedCodec[]
  /** Header extensions that both sides know, by URI. */
  extensions: ReadonlyMap<string, HeaderExtension>
  /** Names of simulcast layers; empty for one plain stream. */
  layers: string[]
  /** RTCP need not begin with a report (RFC 5506). */
  reducedSize: boolean
  /** SSRC of each retransmission stream to that of its media stream, as far as the offer says. */
  repairs: ReadonlyMap<number, number>
}

export type Agreement = {
  flow: MediaFlow
  transport: RemoteTransport
  /** Sections that carry media; at least one. */
  media: AgreedMedia[]
  /** Sections of the same bundle that are answered `inactive`. */
  idle: AgreedMedia[]
  /** The section of data channels, if the bundle has one. */
  data: AgreedData | undefined
  /** All sections of the offer, because an answer mirrors them. Those not listed above are rejected. */
  sections: SdpMedia[]
  /** SSRCs of the only streams that are read, if the peer may send others. */
  only?: ReadonlySet<number>
  /** Whether the offer groups its sections; if not, neither may the answer (RFC 9143 §7.3). */
  bundled: boolean
}

export const EXTENSIONS = {
  absoluteSendTime: 'http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time',
  playoutDelay: 'http://www.webrtc.org/experiments/rtp-hdrext/playout-delay',
  mid: 'urn:ietf:params:rtp-hdrext:sdes:mid',
  transportSequence: 'http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01',
  streamId: 'urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id',
  repairedStreamId: 'urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id',
} as const

const KNOWN_EXTENSIONS: Record<MediaFlow, readonly string[]> = {
  send: [EXTENSIONS.absoluteSendTime, EXTENSIONS.playoutDelay],
  receive: [EXTENSIONS.transportSequence, EXTENSIONS.mid, EXTENSIONS.streamId, EXTENSIONS.repairedStreamId],
}

/** RTCP feedback that both sides act on, by direction. */
export const FEEDBACK: Record<MediaFlow, readonly string[]> = {
  send: ['nack', 'nack pli', 'ccm fir', 'goog-remb'],
  receive: ['nack', 'nack pli', 'transport-cc'],
}

/** Video with encoders and decoders; default: all kinds. */
export type Coders = {
  sendable?: readonly ViewerCodec[] | undefined
  readable?: readonly VideoCodec[] | undefined
  /** Whether a publisher may come without video. */
  audioAlone?: boolean
}

/**
 * Serves one section of each kind, the first that fits. An unwanted section is answered inactive, or rejected where
 * that is impossible (RFC 8829 §5.3.1), without harm to the others. Throws `invalid-request` for an inconsistent offer,
 * `unsupported-media` for one that wants audio or video without a common codec.
 */
export function negotiate(
  offer: Sdp,
  flow: MediaFlow,
  { sendable, readable, audioAlone = false }: Coders = {},
): Agreement {
  const sections = offer.media
  const bundles = bundlesOf(offer)
  const looked = sections.flatMap((media, index) => {
    return isOpenMedia(media, bundles) ? lookAt(offer, media, index, flow, { sendable, readable }) : []
  })
  requireNames(sections)
  if (looked.length === 0) throw invalid('the offer has neither an audio nor a video section')
  const media = (['audio', 'video'] as const)
    .flatMap((kind) => looked.find(({ media, obstacle }) => media?.kind === kind && !obstacle)?.media ?? [])
    .sort((a, b) => a.index - b.index)
  requireMedia(looked, media, flow, audioAlone)
  const bundle = requireBundle(bundles, media)
  const idle = looked.flatMap(({ media: one }) => {
    // Outside the bundle it would need its own transport.
    return one && !media.includes(one) && bundle?.has(one.mid) ? one : []
  })
  const carriers = [media[0]!.index, ...sections.keys()].filter(
    (index) => index === media[0]!.index || bundle?.has(midOf(sections[index]!, index)),
  )
  const transport = remoteTransport(
    offer,
    carriers.map((index) => sections[index]!),
  )
  const data = agreeData(sections, bundle)
  return { flow, transport, media, idle, data, sections, bundled: bundle !== undefined }
}

/** A section with what both sides have in common, and the reason if no media can flow in it. */
type Looked = {
  kind: 'audio' | 'video'
  /** Whether its direction permits the flow. */
  wanted: boolean
  media?: AgreedMedia
  obstacle?: AppError
}

function lookAt(
  offer: Sdp,
  section: SdpMedia,
  index: number,
  flow: MediaFlow,
  { sendable = VIEWER_CODECS, readable = VIDEO_CODECS }: Coders,
): Looked {
  const kind = section.kind as 'audio' | 'video'
  const refused = flow === 'send' ? ['sendonly', 'inactive'] : ['recvonly', 'inactive']
  const offered = direction(offer, section)
  const wrongWay = refused.includes(offered)
    ? invalid(`the ${kind} section is ${offered}; it must be able to ${flow === 'send' ? 'receive' : 'send'}`)
    : undefined
  const wanted = !wrongWay
  if (!section.protocol.endsWith('RTP/SAVPF') && !section.protocol.endsWith('RTP/SAVP')) {
    const obstacle = invalid(`the ${kind} section has the protocol ${section.protocol}; UDP/TLS/RTP/SAVPF is accepted`)
    return { kind, wanted, obstacle: wrongWay ?? obstacle }
  }
  const all = rtpCodecs(section)
  const codecs = flow === 'send' ? codecToSend(kind, all, sendable) : codecsToReceive(kind, all, readable)
  if (codecs.length === 0)
    return {
      kind,
      wanted,
      obstacle: wrongWay ?? noCodec(kind, all, acceptedCodecs(kind, flow, flow === 'send' ? sendable : readable)),
    }
  return {
    kind,
    wanted,
    ...(wrongWay && { obstacle: wrongWay }),
    media: {
      index,
      mid: midOf(section, index),
      kind,
      protocol: section.protocol,
      codecs,
      extensions: commonExtensions(section, flow),
      layers: kind === 'video' && flow === 'receive' ? simulcastLayers(section) : [],
      reducedSize: attribute(section, 'rtcp-rsize') !== undefined,
      repairs: repairStreams(section),
    },
  }
}

function noCodec(kind: 'audio' | 'video', offered: readonly RtpCodec[], accepted: readonly string[]): AppError {
  const names = [...new Set(offered.map(({ name }) => name))]
  return new AppError('unsupported-media', `the offer has no ${kind} codec that is supported`, {
    details: { offered: names, accepted },
  })
}

/**
 * A client that wants a kind of media and cannot have it gets the reason. Unwanted sections are no obstacle as long as
 * one is left. Audio alone can be published only to a pipeline for audio.
 */
function requireMedia(
  looked: readonly Looked[],
  media: readonly AgreedMedia[],
  flow: MediaFlow,
  audioAlone: boolean,
): void {
  for (const kind of ['video', 'audio'] as const) {
    if (media.some((one) => one.kind === kind)) continue
    const refused = looked.find((one) => one.kind === kind && one.wanted)
    if (refused?.obstacle) throw refused.obstacle
  }
  const needsVideo = flow === 'receive' && !audioAlone
  if (needsVideo && !looked.some(({ kind }) => kind === 'video')) throw invalid('the offer has no video section')
  const lacksVideo = needsVideo && !media.some(({ kind }) => kind === 'video')
  const unwanted = looked.find(({ kind, wanted }) => !wanted && (kind === 'video' || flow === 'send'))
  if ((media.length === 0 || lacksVideo) && unwanted?.obstacle) throw unwanted.obstacle
}

/** RFC 5888 §4: a section is found by its name in its bundle and in packets. */
function requireNames(sections: readonly SdpMedia[]): void {
  const names = new Map<string, SdpMedia[]>()
  for (const section of sections) {
    const mid = attribute(section, 'mid')
    if (mid !== undefined) names.set(mid, [...(names.get(mid) ?? []), section])
  }
  for (const [mid, { length, 0: first }] of names) {
    if (length > 1)
      throw invalid(`the offer has ${length} ${first!.kind} sections with the mid "${mid}"; each needs its own`)
  }
}

const midOf = (section: SdpMedia, index: number) => attribute(section, 'mid') ?? String(index)

/** The mids of each group of sections that share a transport (RFC 9143 §7.2). */
function bundlesOf(offer: Sdp): ReadonlySet<string>[] {
  const groups = attributeValues(offer, 'group').map((group) => group.split(/ +/))
  return groups.filter(([name]) => name === 'BUNDLE').map(([, ...mids]) => new Set(mids))
}

/** Port 0 closes a section, unless it shares another's port (RFC 9143 §6). */
function isOpenMedia(media: SdpMedia, bundles: readonly ReadonlySet<string>[]): boolean {
  if (media.kind !== 'audio' && media.kind !== 'video') return false
  const mid = attribute(media, 'mid')
  const shares = attribute(media, 'bundle-only') !== undefined && bundles.some((mids) => mid && mids.has(mid))
  return media.port > 0 || shares
}

function commonExtensions(media: SdpMedia, flow: MediaFlow): Map<string, HeaderExtension> {
  const refused = flow === 'send' ? ['sendonly', 'inactive'] : ['recvonly', 'inactive']
  // Ids above 14 need the two-byte form, which few implement.
  const usable = headerExtensions(media).filter(({ id, direction }) => id <= 14 && !refused.includes(direction))
  const known = usable.filter(({ uri }) => KNOWN_EXTENSIONS[flow].includes(uri))
  return new Map(known.map((extension) => [extension.uri, extension]))
}

/** One transport serves all sections, so they must be one bundle (RFC 9725 §4.4.1). */
function requireBundle(
  bundles: readonly ReadonlySet<string>[],
  media: readonly AgreedMedia[],
): ReadonlySet<string> | undefined {
  const bundle = bundles.find((mids) => media.every(({ mid }) => mids.has(mid)))
  if (!bundle && media.length > 1) throw invalid('the audio and video sections must be in one BUNDLE group')
  return bundle
}

/** `carriers`: the section that carries media, then the others of its bundle, any of which may state it for all. */
function remoteTransport(offer: Sdp, carriers: readonly SdpMedia[]): RemoteTransport {
  const media = carriers.find((one) => attribute(one, 'ice-ufrag') !== undefined) ?? carriers[0]!
  const ufrag = inherited(offer, media, 'ice-ufrag')
  const password = inherited(offer, media, 'ice-pwd')
  if (!ufrag || !password) throw invalid('the offer has no ice-ufrag and ice-pwd')
  const own = attributeValues(media, 'fingerprint')
  const fingerprints = (own.length > 0 ? own : attributeValues(offer, 'fingerprint')).map((text) => {
    const [algorithm = '', value = ''] = text.split(/ +/)
    return { algorithm: algorithm.toLowerCase(), value }
  })
  if (!fingerprints.some(({ algorithm }) => ['sha-256', 'sha-384', 'sha-512'].includes(algorithm))) {
    throw invalid('the offer has no fingerprint; sha-256, sha-384 and sha-512 are accepted')
  }
  // RFC 8842 §5.3: absent means that the offerer is active.
  const setup = inherited(offer, media, 'setup') ?? 'active'
  if (!['actpass', 'active', 'passive'].includes(setup)) {
    throw invalid(`the offer has setup:${setup}; actpass, active and passive are accepted`)
  }
  return { ufrag, password, fingerprints, role: setup === 'passive' ? 'client' : 'server' }
}

const invalid = (message: string) => new AppError('invalid-request', message)
