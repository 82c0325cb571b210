import { joinNalUnits } from '../../../../src/codec/annexb.ts'
import { type FieldOptions, PacketWriter } from '../../../../src/codec/mpegts/packet-writer.ts'
import { pesHeader } from '../../../../src/codec/mpegts/pes.ts'
import { buildPat, buildPmt, type PmtStream } from '../../../../src/codec/mpegts/psi.ts'
import { TsReader } from '../../../../src/codec/mpegts/reader.ts'
import { TsWriter } from '../../../../src/codec/mpegts/writer.ts'
import type { AudioTrack, EncodedPacket, VideoTrack } from '../../../../src/core/media/packet.ts'

export const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'))

export const SPS_640x360 = hex('67 4d401e eca05017fcb80880000003008000001e078b16cb')
export const PPS = hex('68 ce0fc8')
export const AUD = hex('09 f0')

export const VIDEO: VideoTrack = { id: 'video', kind: 'video', codec: 'h264', width: 640, height: 360 }
export const AAC: AudioTrack = { id: 'audio', kind: 'audio', codec: 'aac', sampleRate: 48_000, channels: 2 }
export const OPUS: AudioTrack = { id: 'audio', kind: 'audio', codec: 'opus', sampleRate: 48_000, channels: 2 }

/** Seeded pseudo-random integers from 0 up to but not including `below`. */
export function dice(seed: number): (below: number) => number {
  let state = seed >>> 0 || 1
  return (below) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}

/** First slice of a frame, `bytes` bytes long; its payload contains no start code. */
export function slice(type: 1 | 5, bytes: number, first = true): Uint8Array {
  const nal = new Uint8Array(bytes).fill(0xab)
  nal[0] = 0x60 | type
  // first_mb_in_slice 0, slice_type 7 (I) or 5 (P)
  nal[1] = first ? (type === 5 ? 0x88 : 0x98) : 0x45
  return nal
}

/** An access unit of `bytes` bytes; a keyframe has its parameter sets. */
export function frame(key: boolean, bytes: number): Uint8Array {
  const before = key ? [AUD, SPS_640x360, PPS] : [AUD]
  const used = joinNalUnits(before).length + 4
  return joinNalUnits([...before, slice(key ? 5 : 1, bytes - used)])
}

/** `count` frames at 30 per second, of about `bytes` bytes, with a keyframe every `gop` frames. */
export function frames(count: number, gop = 10, bytes = 700): EncodedPacket<VideoTrack>[] {
  return Array.from({ length: count }, (_, i) => ({
    track: VIDEO,
    data: frame(i % gop === 0, bytes + ((i * 37) % 150)),
    pts: 90_000 + i * 3000,
    key: i % gop === 0,
  }))
}

/** An ADTS frame of `bytes` bytes, 48 kHz stereo. */
export function adts(bytes: number): Uint8Array {
  const frame = new Uint8Array(bytes).fill(0x21)
  frame.set([0xff, 0xf1, 0x4c, 0x80 | (bytes >> 11), (bytes >> 3) & 0xff, ((bytes & 7) << 5) | 0x1f, 0xfc])
  return frame
}

/** `count` consecutive AAC frames. */
export function audioPackets(count: number): EncodedPacket<AudioTrack>[] {
  return Array.from({ length: count }, (_, i) => ({
    track: AAC,
    data: adts(150 + ((i * 13) % 60)),
    pts: 90_000 + i * 1920,
    key: true,
  }))
}

export const H264_STREAM: PmtStream = { streamType: 0x1b, pid: 0x100, descriptors: [] }
export const AAC_STREAM: PmtStream = { streamType: 0x0f, pid: 0x101, descriptors: [] }

/** Writes streams byte by byte, including forms our writer never produces. */
export class HandMux {
  readonly packets = new PacketWriter()

  tables(...streams: PmtStream[]): Uint8Array {
    const out = this.packets.begin(0)
    out.section(0, buildPat([{ program: 1, pmtPid: 0x1000 }]))
    out.section(0x1000, buildPmt(1, 0, { pcrPid: 0x100, descriptors: [], streams }))
    return out.end().slice()
  }

  /** A video PES packet without length. */
  video(data: Uint8Array, pts: number, options: FieldOptions = {}): Uint8Array {
    return this.pes(0x100, Buffer.concat([unbounded(pts), data]), options)
  }

  pes(pid: number, pes: Uint8Array, options: FieldOptions = {}): Uint8Array {
    const out = this.packets.begin(pes.length)
    out.pes(pid, pes, options)
    return out.end().slice()
  }
}

/** Header of a video PES packet with length 0. */
export function unbounded(pts: number, dts = pts): Uint8Array {
  const header = pesHeader(0xe0, 0, pts, dts)
  header.fill(0, 4, 6)
  return header
}

export const bytesOf = (...parts: Uint8Array[]) => new Uint8Array(Buffer.concat(parts))

export function readAll(bytes: Uint8Array): { packets: EncodedPacket[]; reader: TsReader } {
  const reader = new TsReader()
  return { packets: [...reader.push(bytes), ...reader.flush()], reader }
}

/** Video and audio interleaved by our writer. */
export function written(count = 30): { bytes: Uint8Array; packets: EncodedPacket[] } {
  const packets = [...frames(count), ...audioPackets(count)].sort((a, b) => a.pts - b.pts)
  const writer = new TsWriter(packets.map(({ track }) => track))
  return { bytes: bytesOf(...packets.map((packet) => writer.write(packet))), packets }
}

/** Sorted by kind: until the ends of frames are trusted, audio overtakes video. */
export const byKind = (packets: EncodedPacket[]) => packets.toSorted((a, b) => a.track.kind.localeCompare(b.track.kind))

export const tsPackets = (bytes: Uint8Array): Uint8Array[] =>
  Array.from({ length: Math.floor(bytes.length / 188) }, (_, i) => bytes.slice(i * 188, (i + 1) * 188))

export const pidOf = (packet: Uint8Array) => (((packet[1] as number) & 0x1f) << 8) | (packet[2] as number)
