// Session description fragments of trickle ICE: RFC 8840 §9, as used by WHIP (RFC 9725 §4.3).
// Bound: that of a session description of the same length.
import { AppError } from '../../core/errors.ts'
import { attribute, attributeValues, parseSdp, type SdpAttribute } from './session.ts'

export type SdpFragment = {
  ufrag: string | undefined
  password: string | undefined
  /** Values of the `a=candidate` lines of all sections. */
  candidates: string[]
}

/** Throws `invalid-request` if the text is not a fragment, or has nothing about ICE. */
export function parseSdpFragment(text: string): SdpFragment {
  const { attributes, media } = parseSdp(`v=0\r\n${text}`)
  const all: { attributes: SdpAttribute[] } = { attributes: [attributes, ...media.map((one) => one.attributes)].flat() }
  const fragment = {
    ufrag: attribute(all, 'ice-ufrag'),
    password: attribute(all, 'ice-pwd'),
    candidates: attributeValues(all, 'candidate'),
  }
  const ends = attribute(all, 'end-of-candidates') !== undefined
  if (fragment.ufrag === undefined && fragment.candidates.length === 0 && !ends) {
    throw new AppError('invalid-request', 'the fragment has neither ice-ufrag nor candidates')
  }
  if (fragment.ufrag !== undefined && !fragment.password) {
    throw new AppError('invalid-request', 'the fragment has an ice-ufrag without ice-pwd')
  }
  return fragment
}

export type IceDescription = { ufrag: string; password: string; candidates: readonly string[] }

/** The server's fragment for an ICE restart; `section` is the first of the answer. */
export function writeSdpFragment(ice: IceDescription, section: { kind: string; mid: string; format: number }): string {
  const lines = [
    'a=ice-lite',
    `a=ice-ufrag:${ice.ufrag}`,
    `a=ice-pwd:${ice.password}`,
    `m=${section.kind} 9 UDP/TLS/RTP/SAVPF ${section.format}`,
    `a=mid:${section.mid}`,
    ...ice.candidates.map((candidate) => `a=candidate:${candidate}`),
    'a=end-of-candidates',
  ]
  return `${lines.join('\r\n')}\r\n`
}
