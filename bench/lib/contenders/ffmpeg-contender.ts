import { NutReader } from '../../../src/codec/nut/reader.ts'
import { NutWriter } from '../../../src/codec/nut/writer.ts'
import { Child } from '../../../src/core/child.ts'
import { nowMs, TICKS_PER_SECOND } from '../../../src/core/clock.ts'
import type { EncodedPacket } from '../../../src/core/media/packet.ts'
import { type Ffmpeg, NUT_INPUT, NUT_OUTPUT, passFrames } from '../../../src/ffmpeg/binary.ts'
import { encoderArgs } from '../../../src/ffmpeg/encoder/args.ts'
import { findFfmpeg } from '../../../src/ffmpeg/probe.ts'
import type { Size } from '../media/sizes.ts'
import { FPS } from '../media/units.ts'
import { SILENT } from '../silent.ts'
import type { OpenContender } from './contender.ts'

/** The ffmpeg that a server here would use, with the encoder that it would choose. */
export function benchFfmpeg(): Promise<Ffmpeg> {
  const path = process.env.FFMPEG_PATH
  return findFfmpeg({ ...(path && { path }), videoEncoder: process.env.VIDEO_ENCODER ?? 'auto', log: SILENT })
}

/** One ffmpeg that decodes and encodes with the server's settings: the minimum cost of transcoding here. */
export function oneFfmpeg(ffmpeg: Ffmpeg): OpenContender {
  return async (units, onFrame) => {
    const { before, after } = encoding(ffmpeg, units.size)
    return open(shellWords([ffmpeg.path, ...QUIET, ...decoding(), ...before, ...after]), units.size, onFrame)
  }
}

/** `ffmpeg | ffmpeg` with raw frames in the pipe: the minimum cost of two processes, which any pipeline needs. */
export function ffmpegPair(ffmpeg: Ffmpeg): OpenContender {
  return async (units, onFrame) => {
    const { width, height } = units.size
    const { before, after } = encoding(ffmpeg, units.size)
    // The encoder of raw video also has threads, each of which would delay a frame.
    const times = ['-enc_time_base', `1:${TICKS_PER_SECOND}`]
    const raw = ['-an', ...passFrames(ffmpeg), ...times, '-threads', '1', '-c:v', 'rawvideo', '-pix_fmt', 'yuv420p']
    const decoder = [ffmpeg.path, ...QUIET, ...decoding(), ...raw, '-flush_packets', '1', '-f', 'rawvideo', 'pipe:1']
    const frame = ['-f', 'rawvideo', '-pix_fmt', 'yuv420p', '-s', `${width}x${height}`, '-framerate', String(FPS)]
    const encoder = [ffmpeg.path, ...QUIET, '-threads', '1', ...frame, '-i', 'pipe:0', ...before, ...after]
    return open(`${shellWords(decoder)} | ${shellWords(encoder)}`, units.size, onFrame)
  }
}

const QUIET = ['-hide_banner', '-nostats', '-nostdin', '-loglevel', 'error']
const decoding = () => ['-threads', '1', ...NUT_INPUT, '-i', 'pipe:0']

function encoding(ffmpeg: Ffmpeg, { width, height, kbps }: Size): { before: string[]; after: string[] } {
  const { filters, output } = encoderArgs(ffmpeg, { format: 'yuv420p', width, height, bitrateKbps: kbps, fps: FPS })
  const every2s = ['-force_key_frames', 'expr:gte(t,n_forced*2)']
  return {
    before: ['-an', '-vf', filters.join(','), ...passFrames(ffmpeg), '-enc_time_base', `1:${TICKS_PER_SECOND}`],
    after: [...output, ...every2s, ...NUT_OUTPUT, 'pipe:1'],
  }
}

async function open(script: string, size: Size, onFrame: (number: number, at: number) => void) {
  const child = await Child.spawn({
    command: '/bin/sh',
    args: ['-c', script],
    stdio: ['pipe', 'pipe', 'inherit'],
    group: true,
  })
  const { stdin, stdout } = child.process
  if (!stdin || !stdout) throw new Error('ffmpeg has no pipes')
  let frames = 0
  const reader = new NutReader({ onFrame: () => onFrame(frames++, nowMs()) })
  stdout.on('data', (chunk: Buffer) => reader.push(chunk))
  stdin.on('error', () => {})
  const { width, height } = size
  const writer = new NutWriter({ kind: 'video', codec: 'h264', width, height }, { num: 1, den: TICKS_PER_SECOND })
  stdin.write(writer.header())
  return {
    pid: child.pid,
    write: ({ pts, key, data }: EncodedPacket) => {
      stdin.cork()
      stdin.write(writer.frame(pts, key, data.length))
      stdin.write(data)
      stdin.uncork()
    },
    parts: async () => ({}),
    [Symbol.asyncDispose]: async () => {
      await child.close()
    },
  }
}

function shellWords(words: readonly string[]): string {
  return words.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ')
}
