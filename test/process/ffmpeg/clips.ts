import { execFileSync } from 'node:child_process'
import type { NutFrame, NutStream } from '../../../src/codec/nut/format.ts'
import { NutReader } from '../../../src/codec/nut/reader.ts'
import { NutWriter } from '../../../src/codec/nut/writer.ts'
import { TICKS_PER_SECOND } from '../../../src/core/clock.ts'
import type { Log } from '../../../src/core/log.ts'
import { frameBytes, type VideoFrame } from '../../../src/core/media/frame.ts'
import type { EncodedPacket, VideoCodec, VideoTrack } from '../../../src/core/media/packet.ts'
import { type Ffmpeg, passFrames } from '../../../src/ffmpeg/binary.ts'
import { findFfmpeg } from '../../../src/ffmpeg/probe.ts'
import { drawMarker, readMarkerFrom } from '../../helpers/marker.ts'

export const quiet: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => quiet }

let found: Promise<Ffmpeg> | undefined

/** The ffmpeg of this machine, probed once. */
export function testFfmpeg(): Promise<Ffmpeg> {
  found ??= findFfmpeg({ path: process.env.FFMPEG_PATH, videoEncoder: 'libx264', log: quiet })
  return found
}

/** A grey frame with its number drawn into it. */
export function numbered(number: number, pts: number, width = 288, height = 144): VideoFrame {
  const data = new Uint8Array(frameBytes('yuv420p', width, height)).fill(128)
  drawMarker(data, width, height, number)
  return { data, format: 'yuv420p', width, height, pts }
}

/** Reads the number from a frame of any format and size. */
export function numberOf({ data, format, width, height }: VideoFrame): number | undefined {
  const channels = format === 'rgb24' ? 3 : format === 'rgba' ? 4 : 1
  return readMarkerFrom(data, width, height, channels)
}

export function readNut(bytes: Uint8Array): { stream: NutStream; frames: NutFrame[] } {
  const streams: NutStream[] = []
  const frames: NutFrame[] = []
  new NutReader({ onStream: (stream) => streams.push(stream), onFrame: (frame) => frames.push(frame) }).push(bytes)
  return { stream: streams[0]!, frames }
}

/** Runs ffmpeg on raw frames or packets in NUT, and returns its output. */
export function runFfmpeg(path: string, args: string[], input?: Uint8Array): Uint8Array {
  return execFileSync(path, ['-hide_banner', '-loglevel', 'error', ...args], { input, maxBuffer: 1 << 30 })
}

function toNut(frames: VideoFrame[]): Uint8Array {
  const { format, width, height } = frames[0]!
  const writer = new NutWriter({ kind: 'video', codec: format, width, height }, { num: 1, den: TICKS_PER_SECOND })
  const parts = frames.flatMap(({ pts, data }) => [writer.frame(pts, true, data.length), data])
  return Buffer.concat([writer.header(), ...parts])
}

export type Clip = { track: VideoTrack; packets: EncodedPacket[] }

const CODERS: Record<VideoCodec, string[]> = {
  h264: ['-c:v', 'libx264', '-preset', 'veryfast', '-qp', '18', '-sc_threshold', '0', '-bsf:v', 'dump_extra'],
  hevc: ['-c:v', 'libx265', '-preset', 'ultrafast', '-x265-params', 'log-level=0:qp=18', '-bsf:v', 'dump_extra'],
  vp8: ['-c:v', 'libvpx', '-b:v', '2M', '-deadline', 'realtime', '-cpu-used', '8', '-auto-alt-ref', '0'],
  vp9: ['-c:v', 'libvpx-vp9', '-b:v', '2M', '-deadline', 'realtime', '-cpu-used', '8', '-lag-in-frames', '0'],
  av1: ['-c:v', 'libaom-av1', '-b:v', '2M', '-usage', 'realtime', '-cpu-used', '8', '-lag-in-frames', '0'],
}

/** Encodes frames and returns packets in coding order; `pts` of each packet is that of its frame. */
export async function encodeClip(
  frames: VideoFrame[],
  codec: VideoCodec = 'h264',
  extra: string[] = [],
): Promise<Clip> {
  const ffmpeg = await testFfmpeg()
  const base = frames[0]!.pts
  const rebased = frames.map((frame) => ({ ...frame, pts: frame.pts - base }))
  const args = ['-copyts', '-f', 'nut', '-i', 'pipe:0', ...passFrames(ffmpeg), '-enc_time_base', '1:90000']
  const out = runFfmpeg(ffmpeg.path, [...args, ...CODERS[codec], ...extra, '-f', 'nut', 'pipe:1'], toNut(rebased))
  const { stream, frames: coded } = readNut(out)
  const track: VideoTrack = { id: 'v', kind: 'video', codec, width: frames[0]!.width, height: frames[0]!.height }
  const ticks = (pts: number) => Math.round((pts * stream.timeBase.num * TICKS_PER_SECOND) / stream.timeBase.den)
  const shift = Math.min(...coded.map(({ pts }) => ticks(pts)))
  const packets = coded.map(({ pts, key, data }) => ({ track, data, pts: ticks(pts) - shift + base, key }))
  return { track, packets }
}

export const range = (length: number): number[] => Array.from({ length }, (_, i) => i)
