// NUT Open Container Format (https://ffmpeg.org/~michael/nut.txt), version 3 and 4.
import { AppError } from '../../core/errors.ts'
import type { PixelFormat } from '../../core/media/frame.ts'
import type { AudioCodec, VideoCodec } from '../../core/media/packet.ts'

/** Contents of a NUT stream here: encoded packets, raw pictures or raw audio. */
export type NutCodec = VideoCodec | AudioCodec | PixelFormat | 'pcm_s16le' | 'pcm_f32le'

/** Duration of one tick in seconds, as a fraction. */
export type TimeBase = { num: number; den: number }

type NutStreamBase = {
  /** Position among the streams of the file, from 0. */
  id: number
  /** `undefined` for an unknown tag. */
  codec: NutCodec | undefined
  timeBase: TimeBase
  /** Largest number of frames by which decoding and presentation order differ. */
  decodeDelay: number
  /** Parameter sets and the like; empty if they are in the packets. */
  extradata: Uint8Array
}

export type NutVideoStream = NutStreamBase & {
  kind: 'video'
  /** In pixels. */
  width: number
  /** In pixels. */
  height: number
}

export type NutAudioStream = NutStreamBase & {
  kind: 'audio'
  /** Samples per second. */
  sampleRate: number
  channels: number
}

export type NutStream = NutVideoStream | NutAudioStream

export type NutFrame = {
  stream: NutStream
  /** Presentation time in ticks of the stream's time base. */
  pts: number
  /** Whether decoding can begin here. */
  key: boolean
  data: Uint8Array
}

/** Section "high level structure": the start of a file. */
export const FILE_ID = new TextEncoder().encode('nut/multimedia container\0')

/** Section "startcodes"; all begin with the byte `N`. */
export const STARTCODE = {
  main: 0x4e4d7a561f5f04adn,
  stream: 0x4e5311405bf2f9dbn,
  syncpoint: 0x4e4be4adeeca4569n,
  index: 0x4e58dd672f23e64en,
  info: 0x4e49ab68b596ba78n,
} as const

/** Section "frame flags". */
export const FLAG = {
  KEY: 1,
  EOR: 2,
  CODED_PTS: 8,
  STREAM_ID: 16,
  SIZE_MSB: 32,
  CHECKSUM: 64,
  RESERVED: 128,
  SM_DATA: 256,
  HEADER_IDX: 1024,
  MATCH_TIME: 2048,
  CODED: 4096,
  INVALID: 8192,
} as const

/** Section "main flags" (version 4): the stream is sent through a pipe and needs no sync points. */
export const MAIN_FLAG = { BROADCAST: 1, PIPE: 2 } as const

// Four characters, or the two bytes of a Microsoft wave format tag, as ffmpeg maps them.
const TAGS: Record<NutCodec, string> = {
  h264: 'H264',
  hevc: 'HEVC',
  vp8: 'VP80',
  vp9: 'VP90',
  av1: 'AV01',
  yuv420p: 'I420',
  rgb24: 'RGB\x18',
  rgba: 'RGBA',
  gray: 'Y800',
  opus: 'Opus',
  aac: '\xff\0\0\0',
  mp3: '\x55\0\0\0',
  aac_latm: '\x02\x16\0\0',
  ac3: '\0\x20\0\0',
  // NUT has no tag for it: the reader must be told.
  eac3: '\0\x20\0\0',
  pcm_s16le: 'PSD\x10',
  pcm_f32le: 'PFD\x20',
}

const CODECS = new Map(Object.entries(TAGS).map(([codec, tag]) => [tag, codec as NutCodec]))

export const tagOf = (codec: NutCodec): string => TAGS[codec]

/** `tag` as latin-1, two or four characters. */
export const codecOf = (tag: string): NutCodec | undefined => CODECS.get(tag.padEnd(4, '\0'))

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 24
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x80000000 ? (crc << 1) ^ 0x04c11db7 : crc << 1
  return crc
})

/** Section "checksum": CRC-32 with the polynomial 0x04C11DB7, not reflected, initial value 0. */
export function nutChecksum(bytes: Uint8Array, start = 0, end = bytes.length): number {
  let crc = 0
  for (let i = start; i < end; i++) crc = (crc << 8) ^ CRC_TABLE[(crc >>> 24) ^ bytes[i]!]!
  return crc >>> 0
}

export const malformed = (what: string): AppError => new AppError('unsupported-media', `malformed NUT stream: ${what}`)
