// What an offer and this server have in common: RFC 9725 §4.2, RFC 8829 §5.3, RFC 9143.

import {
  type HeaderExtension,
  headerExtensions,
  repairStreams,
  rtpCodecs,
  simulcastLayers,
} from '../../codec/sdp/media.ts'
import { attribute, attributeValues, direction, inherited, type Sdp, type SdpMedia } from '../../codec/sdp/session.ts'
import { AppError } from '../../core/errors.ts'
import type { RemoteTransport } from '../peer.ts'
import { type AgreedCodec, codecsToReceive, codecToSend } from './codec-choice.ts'

/** From where the media goes: `send` to a viewer, `receive` from a publisher. */
export type MediaFlow = 'send' | 'receive'

export type AgreedMedia = {
  /** Index of the section in the offer. */
  index: number
  mid: string
  kind: 'audio' | 'video'
  protocol: string
  /** At least one; the first is the offerer's favourite. */
  codecs: AgreedCodec[]
  /** Header extensions that both know, by URI. */
  extensions: ReadonlyMap<string, HeaderExtension>
  /** Names of simulcast layers; empty for one plain stream. */
  layers: string[]
  /** RTCP need not begin with a report (RFC 5506). */
  reducedSize: boolean
  /** SSRCs of retransmissions against those of the streams they mend, as far as the offer tells. */
  repairs: ReadonlyMap<number, number>
}

export type Agreement = {
  flow: MediaFlow
  transport: RemoteTransport
  media: AgreedMedia[]
  /** All sections of the offer, since an answer mirrors them. */
  sections: SdpMedia[]
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

/** Feedback that both sides act upon, by flow. */
export const FEEDBACK: Record<MediaFlow, readonly string[]> = {
  send: ['nack', 'nack pli', 'ccm fir', 'goog-remb'],
  receive: ['nack', 'nack pli', 'transport-cc'],
}

/** Throws `invalid-request` for an offer that makes no sense, `unsupported-media` for one without a common codec. */
export function negotiate(offer: Sdp, flow: MediaFlow): Agreement {
  const sections = offer.media
  const open = sections.flatMap((media, index) => (isOpenMedia(media) ? { media, index } : []))
  if (open.length === 0) throw invalid('the offer has neither an audio nor a video section')
  for (const kind of ['audio', 'video']) {
    const count = open.filter(({ media }) => media.kind === kind).length
    if (count > 1) throw invalid(`the offer has ${count} ${kind} sections; one of each kind is accepted`)
  }
  const media = open.map(({ media: section, index }) => agree(offer, section, index, flow))
  if (flow === 'receive' && !media.some(({ kind }) => kind === 'video')) throw invalid('the offer has no video section')
  requireBundle(offer, media)
  return { flow, transport: remoteTransport(offer, sections[media[0]!.index]!), media, sections }
}

/** Port 0 closes a section, unless it is to share the port of another (RFC 9143 §6). */
function isOpenMedia(media: SdpMedia): boolean {
  const isOpen = media.port > 0 || attribute(media, 'bundle-only') !== undefined
  return isOpen && (media.kind === 'audio' || media.kind === 'video')
}

function agree(offer: Sdp, media: SdpMedia, index: number, flow: MediaFlow): AgreedMedia {
  const kind = media.kind as 'audio' | 'video'
  const refused = flow === 'send' ? ['sendonly', 'inactive'] : ['recvonly', 'inactive']
  const offered = direction(offer, media)
  if (refused.includes(offered))
    throw invalid(`the ${kind} section is ${offered}; it must be able to ${flow === 'send' ? 'receive' : 'send'}`)
  if (!media.protocol.endsWith('RTP/SAVPF') && !media.protocol.endsWith('RTP/SAVP')) {
    throw invalid(`the ${kind} section has the protocol ${media.protocol}; UDP/TLS/RTP/SAVPF is accepted`)
  }
  const all = rtpCodecs(media)
  const codecs = flow === 'send' ? codecToSend(kind, all) : codecsToReceive(kind, all)
  if (codecs.length === 0) {
    const accepted = kind === 'audio' ? ['opus'] : flow === 'send' ? ['h264'] : ['h264', 'vp8']
    const names = [...new Set(all.map(({ name }) => name))]
    throw new AppError('unsupported-media', `the offer has no ${kind} codec that is supported`, {
      details: { offered: names, accepted },
    })
  }
  return {
    index,
    mid: attribute(media, 'mid') ?? String(index),
    kind,
    protocol: media.protocol,
    codecs,
    extensions: commonExtensions(media, flow),
    layers: kind === 'video' && flow === 'receive' ? simulcastLayers(media) : [],
    reducedSize: attribute(media, 'rtcp-rsize') !== undefined,
    repairs: repairStreams(media),
  }
}

function commonExtensions(media: SdpMedia, flow: MediaFlow): Map<string, HeaderExtension> {
  const refused = flow === 'send' ? ['sendonly', 'inactive'] : ['recvonly', 'inactive']
  // Ids above 14 need the two-byte form, which few implement.
  const usable = headerExtensions(media).filter(({ id, direction }) => id <= 14 && !refused.includes(direction))
  const known = usable.filter(({ uri }) => KNOWN_EXTENSIONS[flow].includes(uri))
  return new Map(known.map((extension) => [extension.uri, extension]))
}

/** One transport serves all sections, so they must be one bundle (RFC 9725 §4.4.1). */
function requireBundle(offer: Sdp, media: readonly AgreedMedia[]): void {
  if (media.length < 2) return
  const bundles = attributeValues(offer, 'group').map((group) => group.split(' '))
  const bundled = bundles.some(([name, ...mids]) => name === 'BUNDLE' && media.every(({ mid }) => mids.includes(mid)))
  if (!bundled) throw invalid('the audio and video sections must be in one BUNDLE group')
}

function remoteTransport(offer: Sdp, media: SdpMedia): RemoteTransport {
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
  // RFC 8842 §5.3: absent means active for the offerer.
  const setup = inherited(offer, media, 'setup') ?? 'active'
  if (!['actpass', 'active', 'passive'].includes(setup)) {
    throw invalid(`the offer has setup:${setup}; actpass, active and passive are accepted`)
  }
  return { ufrag, password, fingerprints, role: setup === 'passive' ? 'client' : 'server' }
}

const invalid = (message: string) => new AppError('invalid-request', message)
