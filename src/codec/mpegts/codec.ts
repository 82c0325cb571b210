// ISO/IEC 13818-1 Table 2-34 (stream_type) and the registrations in use for private streams.
import type { AudioCodec, VideoCodec } from '../../core/media/packet.ts'
import { opusChannels } from '../audio/opus-ts.ts'
import type { Descriptor, PmtStream } from './psi.ts'

/** Descriptor tags (Table 2-45; ETSI EN 300 468 Table 12). */
export const REGISTRATION = 0x05
export const DVB_EXTENSION = 0x7f
/** The extension that tells the channels of Opus. */
export const OPUS_EXTENSION = 0x80

export const STREAM_TYPE = { mpeg1Audio: 0x03, mpeg2Audio: 0x04, private: 0x06, aac: 0x0f, h264: 0x1b, hevc: 0x24 }

/** What the codecs of an MPEG-TS input may be, for error messages. */
export const ACCEPTED_CODECS = 'video H.264 or HEVC; audio AAC (ADTS), Opus or MPEG audio'

/** What one stream of a program carries. */
export type StreamCodec =
  | { kind: 'video'; codec: Extract<VideoCodec, 'h264' | 'hevc'> }
  | { kind: 'audio'; codec: 'aac' | 'mp3' }
  | { kind: 'audio'; codec: 'opus'; channels: number }
  | { kind: 'video' | 'audio' | 'data'; codec?: undefined; name: string }

const UNSUPPORTED: Record<number, ['video' | 'audio' | 'data', string]> = {
  1: ['video', 'MPEG-1 video'],
  2: ['video', 'MPEG-2 video'],
  16: ['video', 'MPEG-4 part 2 video'],
  17: ['audio', 'AAC in LATM'],
  28: ['audio', 'AAC without ADTS'],
  32: ['video', 'multi-view H.264'],
  33: ['video', 'JPEG 2000'],
  51: ['video', 'VVC'],
  66: ['video', 'AVS video'],
  128: ['audio', 'LPCM'],
  129: ['audio', 'AC-3'],
  130: ['audio', 'DTS'],
  131: ['audio', 'TrueHD'],
  132: ['audio', 'E-AC-3'],
  133: ['audio', 'DTS-HD'],
  134: ['data', 'SCTE-35'],
  135: ['audio', 'E-AC-3'],
  138: ['audio', 'DTS'],
  209: ['video', 'Dirac'],
  234: ['video', 'VC-1'],
}

const UNSUPPORTED_REGISTRATIONS: Record<string, ['video' | 'audio', string]> = {
  'AC-3': ['audio', 'AC-3'],
  EAC3: ['audio', 'E-AC-3'],
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

/** Audio that DVB tells by a descriptor of its own (ETSI EN 300 468 Annexes D and H). */
const UNSUPPORTED_DVB: Record<number, string> = { 106: 'AC-3', 122: 'E-AC-3', 123: 'DTS' }

export function identifyStream(stream: PmtStream): StreamCodec {
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
  const dvb = descriptors.map(({ tag }) => UNSUPPORTED_DVB[tag]).find((found) => found !== undefined)
  return dvb ? { kind: 'audio', name: `${dvb} (stream type 0x06)` } : { kind: 'data', name: 'private data' }
}

/** The codec names of the house that an MPEG-TS output can carry. */
export const WRITABLE_CODECS: readonly (VideoCodec | AudioCodec)[] = ['h264', 'hevc', 'aac', 'mp3', 'opus']
