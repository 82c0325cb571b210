// Session descriptions: RFC 8866, with the attributes of WebRTC (RFC 8829).
// Bound: time and memory grow with the text; 5,000 lines, 64 sections and 128 formats each are accepted at most, and
// what is read of them is no more than was there.
import { AppError } from '../../core/errors.ts'

export type SdpAttribute = { name: string; value: string }

export type SdpMedia = {
  /** `audio`, `video`, `application`. */
  kind: string
  port: number
  protocol: string
  /** Payload types, as text. */
  formats: string[]
  attributes: SdpAttribute[]
}

export type Sdp = { attributes: SdpAttribute[]; media: SdpMedia[] }

const MAX_LINES = 5000
const MAX_SECTIONS = 64
/** There are 128 RTP payload types (RFC 3550 section 5.1). */
const MAX_FORMATS = 128

/**
 * Parses a description. Text before `v=0`, which some clients send, is skipped, and both line endings are accepted.
 * Throws `invalid-request` if it is not a description.
 */
export function parseSdp(text: string): Sdp {
  const start = text.indexOf('v=0')
  if (start < 0) throw new AppError('invalid-request', 'the body is not a session description: it has no line v=0')
  const lines = text.slice(start).split(/\r\n|\n|\r/)
  if (lines.length > MAX_LINES)
    throw new AppError('invalid-request', `the session description has over ${MAX_LINES} lines`)
  const sdp: Sdp = { attributes: [], media: [] }
  for (const line of lines) {
    const value = line.slice(2).trim()
    if (line.startsWith('m=')) {
      if (sdp.media.length >= MAX_SECTIONS)
        throw new AppError('invalid-request', `the session description has over ${MAX_SECTIONS} media sections`)
      sdp.media.push(parseMedia(value))
    } else if (line.startsWith('a=')) (sdp.media.at(-1) ?? sdp).attributes.push(parseAttribute(value))
    else if (line !== '' && line[1] !== '=') {
      throw new AppError('invalid-request', 'the session description has a line that is not of the form x=…')
    }
  }
  return sdp
}

function parseMedia(value: string): SdpMedia {
  const [kind, port, protocol, ...formats] = value.split(/ +/)
  const number = Number.parseInt(port ?? '', 10)
  if (!kind || !protocol || formats.length === 0 || !(number >= 0 && number <= 65535)) {
    throw new AppError(
      'invalid-request',
      'the session description has an m= line without kind, port, protocol or format',
    )
  }
  const distinct = [...new Set(formats)]
  if (distinct.length > MAX_FORMATS) throw new AppError('invalid-request', `an m= line has over ${MAX_FORMATS} formats`)
  return { kind, port: number, protocol, formats: distinct, attributes: [] }
}

/** An attribute of an `a=` line: `name` or `name:value`. */
function parseAttribute(text: string): SdpAttribute {
  const colon = text.indexOf(':')
  return colon < 0 ? { name: text, value: '' } : { name: text.slice(0, colon), value: text.slice(colon + 1).trim() }
}

type Section = { attributes: readonly SdpAttribute[] }

export function attribute(section: Section, name: string): string | undefined {
  return section.attributes.find((one) => one.name === name)?.value
}

export function attributeValues(section: Section, name: string): string[] {
  return section.attributes.filter((one) => one.name === name).map((one) => one.value)
}

/** The attribute of a media section, or else of the session. */
export function inherited(sdp: Sdp, media: SdpMedia, name: string): string | undefined {
  return attribute(media, name) ?? attribute(sdp, name)
}

const DIRECTIONS = ['sendrecv', 'sendonly', 'recvonly', 'inactive'] as const
export type Direction = (typeof DIRECTIONS)[number]

/** RFC 8866 §6.7: default `sendrecv`. */
export function direction(sdp: Sdp, media: SdpMedia): Direction {
  const said = (section: Section) => DIRECTIONS.find((one) => attribute(section, one) !== undefined)
  return said(media) ?? said(sdp) ?? 'sendrecv'
}
