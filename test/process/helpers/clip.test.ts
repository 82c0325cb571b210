import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { ffmpegPath } from '../../helpers/binaries.ts'
import { type ClipOptions, makeNumberedClip, numberedPts } from '../../helpers/media/clip.ts'
import { decodeNumbers, probePackets } from '../../helpers/media/probe-ts.ts'
import { measureSync } from '../../helpers/media/sync.ts'
import { runTool } from '../../helpers/run-tool.ts'

const folder = mkdtempSync(join(tmpdir(), 'clip-test-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const SMALL = { seconds: 2, width: 320, height: 180, fps: 30 }
const make = async (name: string, shape: Omit<ClipOptions, 'file'>): Promise<string> => {
  const file = join(folder, name)
  await makeNumberedClip({ file, ...shape })
  return file
}

describe('a numbered clip', () => {
  test.each<[string, Omit<ClipOptions, 'file'>]>([
    ['plain.ts', SMALL],
    ['bframes.ts', { ...SMALL, bframes: 2, audio: true }],
    ['vfr.ts', { ...SMALL, vfr: true }],
    ['vfr.mp4', { ...SMALL, vfr: true, bframes: 2 }],
    ['ntsc.ts', { ...SMALL, fps: 29.97 }],
    ['hevc.ts', { ...SMALL, codec: 'hevc' }],
    ['odd.ts', { ...SMALL, width: 322, height: 178 }],
    ['hd.ts', { seconds: 2, width: 1280, height: 720, fps: 30, kbps: 1000, bframes: 2 }],
  ])('%s: every frame shows its number and has its timestamp', async (name, shape) => {
    const frames = await decodeNumbers(await make(name, shape))
    expect(frames.map((frame) => frame.number)).toEqual(
      Array.from({ length: Math.round(shape.seconds * shape.fps) }, (_, n) => n),
    )
    const first = frames[0]?.pts ?? 0
    for (const { pts, number = 0 } of frames) {
      expect(Math.abs(pts - first - numberedPts(number, shape))).toBeLessThanOrEqual(1)
    }
  })

  test('has the B-frames, keyframe distance and codecs asked for', async () => {
    const file = await make('shape.ts', { ...SMALL, bframes: 2, gop: 15, audio: true })
    const [video, audio] = await probePackets(file)
    expect(video).toMatchObject({ kind: 'video', codec: 'h264', width: 320, height: 180 })
    expect(audio).toMatchObject({ kind: 'audio', codec: 'aac', sampleRate: 48_000 })
    expect(video?.packets.some((packet) => packet.pts > packet.dts)).toBe(true)
    expect(video?.packets.flatMap((packet, index) => (packet.key ? [index] : []))).toEqual([0, 15, 30, 45])
  })

  test('flash and beep start together', async () => {
    const file = await make('flash.ts', { ...SMALL, seconds: 5, audio: 'flash-beep' })
    const pairs = await measureSync(file)
    expect(pairs).toHaveLength(4)
    for (const { offsetMs } of pairs) expect(Math.abs(offsetMs)).toBeLessThan(5)
  })

  test('an audio offset is measured exactly', async () => {
    const file = await make('flash.ts', { ...SMALL, seconds: 5, audio: 'flash-beep' })
    const later = ['-c', 'copy', '-bsf:a', 'setts=pts=PTS+10800:dts=DTS+10800', '-f', 'mpegts', 'pipe:1']
    const [shifted = Buffer.alloc(0)] = await runTool(ffmpegPath(), ['-v', 'error', '-i', file, ...later])
    const pairs = await measureSync(shifted)
    expect(pairs.length).toBeGreaterThanOrEqual(3)
    for (const { offsetMs } of pairs) expect(Math.abs(offsetMs - 120)).toBeLessThan(5)
  })

  test('unsupported combinations are refused with a message', async () => {
    await expect(make('bad.nonsense', SMALL)).rejects.toThrow(/could not make the clip/)
  })
})
