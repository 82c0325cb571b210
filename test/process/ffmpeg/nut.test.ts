import { beforeAll, describe, expect, it } from 'vitest'
import { type NutStreamSpec, NutWriter } from '../../../src/codec/nut/writer.ts'
import type { Ffmpeg } from '../../../src/ffmpeg/binary.ts'
import { quiet, range, readNut, runFfmpeg, testFfmpeg } from './clips.ts'

let ffmpeg: Ffmpeg

beforeAll(async () => {
  ffmpeg = await testFfmpeg()
  quiet.debug('found')
})

/** Time, size and hash of each packet as ffmpeg reports them, without durations, which are estimates. */
function packetsOf(nut: Uint8Array): string[] {
  const args = ['-copyts', '-f', 'nut', '-i', 'pipe:0', '-c', 'copy', '-f', 'framehash', '-hash', 'md5', 'pipe:1']
  const lines = Buffer.from(runFfmpeg(ffmpeg.path, args, nut))
    .toString()
    .trim()
    .split('\n')
  return lines
    .filter((line) => !line.startsWith('#'))
    .map((line) => line.split(',').map((field) => field.trim()))
    .map(([stream, , pts, , size, hash]) => [stream, pts, size, hash].join(' '))
}

const VIDEO = 'testsrc2=size=96x64:rate=25:duration=2'
const AUDIO = 'sine=duration=2:sample_rate=48000'

describe('NUT between ffmpeg and the server', () => {
  it.each([
    ['h264', VIDEO, ['-c:v', 'libx264', '-bf', '3']],
    ['hevc', VIDEO, ['-c:v', 'libx265', '-x265-params', 'log-level=0']],
    ['vp8', VIDEO, ['-c:v', 'libvpx']],
    ['yuv420p', VIDEO, ['-c:v', 'rawvideo', '-pix_fmt', 'yuv420p']],
    ['rgb24', VIDEO, ['-c:v', 'rawvideo', '-pix_fmt', 'rgb24']],
    ['rgba', VIDEO, ['-c:v', 'rawvideo', '-pix_fmt', 'rgba']],
    ['gray', VIDEO, ['-c:v', 'rawvideo', '-pix_fmt', 'gray']],
    ['opus', AUDIO, ['-c:a', 'libopus']],
    ['aac', AUDIO, ['-c:a', 'aac']],
    ['mp3', AUDIO, ['-c:a', 'libmp3lame']],
    ['pcm_s16le', AUDIO, ['-c:a', 'pcm_s16le']],
    ['pcm_f32le', AUDIO, ['-c:a', 'pcm_f32le']],
  ] as const)('carries %s both ways', (codec, source, args) => {
    const theirs = runFfmpeg(ffmpeg.path, ['-f', 'lavfi', '-i', source, ...args, '-f', 'nut', 'pipe:1'])
    const { stream, frames } = readNut(theirs)
    expect(stream.codec).toBe(codec)
    expect(frames.length).toBeGreaterThan(40)
    const writer = new NutWriter(stream as NutStreamSpec, stream.timeBase)
    const parts = frames.flatMap(({ pts, key, data }) => [writer.frame(pts, key, data.length), data])
    const ours = Buffer.concat([writer.header(), ...parts])
    const seen = packetsOf(ours)
    expect(seen).toHaveLength(frames.length)
    expect(seen).toEqual(packetsOf(theirs))
  })

  it('stays exact over many hours', () => {
    const writer = new NutWriter({ kind: 'video', codec: 'gray', width: 2, height: 2 }, { num: 1, den: 90_000 })
    const stamps = range(200).map((i) => i * 90_000 * 100 + ((i * 7919) % 3000))
    const parts = stamps.flatMap((pts) => [writer.frame(pts, true, 4), new Uint8Array(4)])
    const seen = packetsOf(Buffer.concat([writer.header(), ...parts]))
    expect(seen.map((line) => Number(line.split(' ')[1]))).toEqual(stamps)
  })
})
