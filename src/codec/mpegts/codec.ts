// ISO/IEC 13818-1 Table 2-34 (stream_type) and the registrations in use for private streams.
// Bound: each descriptor is looked at a fixed number of times; at most one video and one audio stream and two names come out.
import type { VideoCodec } from '../../core/media/packet.ts'
import { opusChannels } from '../audio/opus-ts.ts'
import type { Descriptor, Pmt, PmtStream } from './psi.ts'

/** Descriptor tags (Table 2-45; ETSI EN 300 468 Table 12). */
export const REGISTRATION = 0x05
export const DVB_EXTENSION = 0x7f
/** The extension with the channels of Opus. */
export const OPUS_EXTENSION = 0x80

export const STREAM_TYPE = {
  mpeg1Audio: 0x03,
  mpeg2Audio: 0x04,
  private: 0x06,
  aac: 0x0f,
  latm: 0x11,
  h264: 0x1b,
  hevc: 0x24,
}

/** Supported codecs of an MPEG-TS input, for error messages. */
export const ACCEPTED_CODECS =
  'video H.264 or HEVC; audio AAC (ADTS or LATM), MPEG audio (MP2, MP3), AC-3, E-AC-3 or Opus'

/** A readable stream. */
export type CodedStream =
  | { kind: 'video'; codec: Extract<VideoCodec, 'h264' | 'hevc'> }
  | { kind: 'audio'; codec: 'aac' | 'aac_latm' | 'mp3' | 'ac3' | 'eac3' }
  | { kind: 'audio'; codec: 'opus'; channels: number }

/** The content of one stream of a program. */
export type StreamCodec = CodedStream | { kind: 'video' | 'audio' | 'data'; codec?: undefined; name: string }

const UNSUPPORTED: Record<number, ['video' | 'audio' | 'data', string]> = {
  1: ['video', 'MPEG-1 video'],
  2: ['video', 'MPEG-2 video'],
  16: ['video', 'MPEG-4 part 2 video'],
  28: ['audio', 'AAC without ADTS'],
  32: ['video', 'multi-view H.264'],
  33: ['video', 'JPEG 2000'],
  51: ['video', 'VVC'],
  66: ['video', 'AVS video'],
  128: ['audio', 'LPCM'],
  130: ['audio', 'DTS'],
  131: ['audio', 'TrueHD'],
  133: ['audio', 'DTS-HD'],
  134: ['data', 'SCTE-35'],
  138: ['audio', 'DTS'],
  209: ['video', 'Dirac'],
  234: ['video', 'VC-1'],
}

const UNSUPPORTED_REGISTRATIONS: Record<string, ['video' | 'audio', string]> = {
  'AC-4': ['audio', 'AC-4'],
  BSSD: ['audio', 'SMPTE 302M'],
  DTS1: ['audio', 'DTS'],
  DTS2: ['audio', 'DTS'],
  DTS3: ['audio', 'DTS'],
  AV01: ['video', 'AV1'],
  VP09: ['video', 'VP9'],
  drac: ['video', 'Dirac'],
  'VC-1': ['video', 'VC-1'],
}

/** Audio that DVB marks by a descriptor (ETSI EN 300 468 Annexes D and H). */
const DVB_AC3 = 106
const DVB_EAC3 = 122
const DVB_DTS = 123

function identifyStream(stream: PmtStream): StreamCodec {
  switch (stream.streamType) {
    case STREAM_TYPE.h264:
      return { kind: 'video', codec: 'h264' }
    case STREAM_TYPE.hevc:
      return { kind: 'video', codec: 'hevc' }
    case STREAM_TYPE.aac:
      return { kind: 'audio', codec: 'aac' }
    case STREAM_TYPE.mpeg1Audio:
    case STREAM_TYPE.mpeg2Audio:
      return { kind: 'audio', codec: 'mp3' }
    case STREAM_TYPE.latm:
      return { kind: 'audio', codec: 'aac_latm' }
    // As in ATSC A/53 and on discs.
    case 0x81:
      return { kind: 'audio', codec: 'ac3' }
    case 0x84:
    case 0x87:
      return { kind: 'audio', codec: 'eac3' }
    case STREAM_TYPE.private:
      return identifyPrivate(stream.descriptors)
  }
  const [kind, name] = UNSUPPORTED[stream.streamType] ?? ['data', 'unknown']
  return { kind, name: `${name} (stream type 0x${stream.streamType.toString(16).padStart(2, '0')})` }
}

function identifyPrivate(descriptors: Descriptor[]): StreamCodec {
  const registration = descriptors.find(({ tag }) => tag === REGISTRATION)
  const format = String.fromCharCode(...(registration?.data.subarray(0, 4) ?? []))
  if (format === 'HEVC') return { kind: 'video', codec: 'hevc' }
  if (format === 'Opus') {
    const extension = descriptors.find(({ tag, data }) => tag === DVB_EXTENSION && data[0] === OPUS_EXTENSION)
    const channels = extension ? opusChannels(extension.data[1] ?? 0) : 2
    if (channels !== undefined) return { kind: 'audio', codec: 'opus', channels }
    return { kind: 'audio', name: 'Opus with a channel mapping of its own' }
  }
  const [kind, name] = UNSUPPORTED_REGISTRATIONS[format] ?? []
  if (kind && name) return { kind, name: `${name} (stream type 0x06, registration ${format})` }
  const has = (wanted: number) => descriptors.some(({ tag }) => tag === wanted)
  if (format === 'AC-3' || has(DVB_AC3)) return { kind: 'audio', codec: 'ac3' }
  if (format === 'EAC3' || has(DVB_EAC3)) return { kind: 'audio', codec: 'eac3' }
  if (has(DVB_DTS)) return { kind: 'audio', name: 'DTS (stream type 0x06)' }
  return { kind: 'data', name: 'private data' }
}

/** The readable part of a program by its PMT: the first video and the first audio stream with a supported codec. */
export type Contents = {
  video?: Chosen
  audio?: Chosen
  /** If none of a kind is readable, the first one, described in words. */
  unread: { video?: string; audio?: string }
}
type Chosen = { pid: number; codec: CodedStream }

export function contentsOf(pmt: Pmt): Contents {
  const contents: Contents = { unread: {} }
  const streams = pmt.streams.map((stream) => ({ pid: stream.pid, codec: identifyStream(stream) }))
  for (const kind of ['video', 'audio'] as const) {
    const ofKind = streams.filter(({ codec }) => codec.kind === kind)
    for (const { pid, codec } of ofKind) {
      if (codec.codec === undefined) contents.unread[kind] ??= codec.name
      else contents[kind] ??= { pid, codec }
    }
    if (contents[kind]) delete contents.unread[kind]
  }
  return contents
}
