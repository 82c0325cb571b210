// The SDP section of data channels: RFC 8841.
import { attribute, type SdpMedia } from '../../codec/sdp/session.ts'
import type { LocalTransport } from '../peer.ts'

export type AgreedData = {
  /** Index of the section in the offer. */
  index: number
  mid: string
  protocol: string
  /** SCTP port of the peer. */
  port: number
  /** Longest message that the peer accepts. */
  maxMessageBytes: number
}

const PROTOCOLS = ['UDP/DTLS/SCTP', 'TCP/DTLS/SCTP']
const FORMAT = 'webrtc-datachannel'
export const SCTP_PORT = 5000
/** RFC 8841 §6.1: the default. */
export const USUAL_MAX_MESSAGE_BYTES = 64 * 1024
/** Firefox accepts any length, and states it as 0 or a thousand million. */
const MOST_BYTES = 16 * 1024 * 1024

/** The first such section in the media's bundle; others have no transport and are rejected. */
export function agreeData(
  sections: readonly SdpMedia[],
  bundle: ReadonlySet<string> | undefined,
): AgreedData | undefined {
  for (const [index, section] of sections.entries()) {
    const mid = attribute(section, 'mid')
    const isOpen = section.port > 0 || attribute(section, 'bundle-only') !== undefined
    const isData = section.kind === 'application' && PROTOCOLS.includes(section.protocol)
    if (!isOpen || !isData || !section.formats.includes(FORMAT) || mid === undefined || !bundle?.has(mid)) continue
    const port = Number(attribute(section, 'sctp-port'))
    if (!Number.isInteger(port) || port < 1 || port > 65_535) continue
    return { index, mid, protocol: section.protocol, port, maxMessageBytes: maxMessageBytes(section) }
  }
  return undefined
}

function maxMessageBytes(section: SdpMedia): number {
  const said = Number.parseInt(attribute(section, 'max-message-size') ?? '', 10)
  if (!(said >= 0)) return USUAL_MAX_MESSAGE_BYTES
  return said === 0 ? MOST_BYTES : Math.min(said, MOST_BYTES)
}

/** Lines of the answer, without candidates. `takesBytes`: longest message that we accept. */
export function dataLines(data: AgreedData, local: LocalTransport, takesBytes: number): string[] {
  return [
    `m=application 9 ${data.protocol} ${FORMAT}`,
    'c=IN IP4 0.0.0.0',
    `a=mid:${data.mid}`,
    `a=ice-ufrag:${local.ufrag}`,
    `a=ice-pwd:${local.password}`,
    `a=fingerprint:${local.fingerprint.algorithm} ${local.fingerprint.value}`,
    `a=setup:${local.role === 'server' ? 'passive' : 'active'}`,
    `a=sctp-port:${SCTP_PORT}`,
    `a=max-message-size:${takesBytes}`,
  ]
}
