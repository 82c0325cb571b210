import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { nowMs } from '../../../src/core/clock.ts'
import { LatencyMeter } from '../../../src/core/counters.ts'
import { frameBytes, PIXEL_FORMATS, type VideoFrame } from '../../../src/core/media/frame.ts'
import type { EncodedPacket } from '../../../src/core/media/packet.ts'
import type { Ffmpeg } from '../../../src/ffmpeg/binary.ts'
import { openVideoDecoder, type VideoDecoderOptions } from '../../../src/ffmpeg/decoder/decoder.ts'
import { nothingLeft } from '../../helpers/nothing-left.ts'
import { waitFor } from '../../helpers/wait.ts'
import { type Clip, encodeClip, numbered, numberOf, quiet, range, testFfmpeg } from './clips.ts'

let ffmpeg: Ffmpeg
let clean: ReturnType<typeof nothingLeft>

beforeAll(async () => {
  ffmpeg = await testFfmpeg()
})
beforeEach(() => {
  clean = nothingLeft()
})
afterEach(() => clean())

/** Irregular intervals, as of a camera that slows down in the dark. */
const irregular = (i: number) => i * 3000 + ((i * i * 37) % 1500)

async function open(clip: Clip, options: Partial<VideoDecoderOptions> = {}) {
  const frames: VideoFrame[] = []
  const decoder = await openVideoDecoder(
    { ffmpeg, track: clip.track, format: 'yuv420p', onFrame: (frame) => frames.push(frame), ...options },
    { log: quiet },
  )
  return { decoder, frames }
}

async function decodeAll(clip: Clip, options: Partial<VideoDecoderOptions> = {}, packets = clip.packets) {
  const { decoder, frames } = await open(clip, options)
  const written = packets.filter((packet) => decoder.write(packet)).length
  decoder.end()
  return { frames, written, closed: await decoder.closed }
}

const sorted = (packets: EncodedPacket[]) => packets.map(({ pts }) => pts).sort((a, b) => a - b)

describe('timestamps', () => {
  it.each([
    ['h264 without B-frames', 'h264', ['-bf', '0']],
    ['h264 with B-frames', 'h264', ['-bf', '3']],
    ['hevc with B-frames', 'hevc', []],
    ['vp8', 'vp8', []],
  ] as const)('are those of the packets: %s', async (_name, codec, extra) => {
    for (const base of [0, 2 ** 33 - 60_000, 2 ** 40 + 1]) {
      const clip = await encodeClip(
        range(40).map((i) => numbered(i, base + irregular(i))),
        codec,
        [...extra],
      )
      const { frames, closed } = await decodeAll(clip)
      expect(closed).toEqual({ why: 'ended' })
      expect(frames.map(({ pts }) => pts)).toEqual(sorted(clip.packets))
      expect(frames.map(numberOf)).toEqual(range(40))
      expect(frames.every((frame) => frame.pts === base + irregular(numberOf(frame)!))).toBe(true)
    }
  })

  it('stay exact when the clock of the source jumps', async () => {
    const clip = await encodeClip(
      range(60).map((i) => numbered(i, i * 3000)),
      'h264',
      ['-bf', '0', '-g', '20'],
    )
    const jumps = [0, 24 * 3600 * 90_000, -1_000_000]
    const packets = clip.packets.map((packet, i) => ({ ...packet, pts: packet.pts + jumps[Math.floor(i / 20)]! }))
    const { frames } = await decodeAll(clip, {}, packets)
    expect(frames.map(({ pts }) => pts)).toEqual(packets.map(({ pts }) => pts))
    expect(frames.map(numberOf)).toEqual(range(60))
  })
})

describe('delay', () => {
  it.each([
    ['h264', ['-bf', '0']],
    ['hevc', ['-x265-params', 'log-level=0:qp=18:bframes=0:frame-threads=1']],
    ['vp8', []],
    ['av1', []],
  ] as const)('is zero frames: each frame comes out before the next packet goes in (%s)', async (codec, extra) => {
    const clip = await encodeClip(
      range(40).map((i) => numbered(i, i * 3000, 640, 360)),
      codec,
      [...extra],
    )
    const { decoder, frames } = await open(clip)
    const delays = new LatencyMeter()
    for (const [i, packet] of clip.packets.entries()) {
      const written = nowMs()
      decoder.write(packet)
      await waitFor(`frame ${i}`, () => frames.length > i, { everyMs: 0.2 })
      if (i > 5) delays.add(nowMs() - written)
    }
    await decoder.close()
    // About 3 ms on a quiet machine; a buffered frame would take 33 ms, and would not have been delivered above.
    expect(delays.percentiles().p50).toBeLessThan(60)
  })
})

describe('the frame', () => {
  it.each(PIXEL_FORMATS)('is delivered as %s', async (format) => {
    const clip = await encodeClip(range(5).map((i) => numbered(i + 100, i * 3000)))
    const { frames } = await decodeAll(clip, { format })
    expect(frames.map(numberOf)).toEqual(range(5).map((i) => i + 100))
    expect(frames[0]).toMatchObject({ format, width: 288, height: 144 })
    expect(frames[0]?.data.length).toBe(frameBytes(format, 288, 144))
  })

  it('is cropped to an even size', async () => {
    const clip = await encodeClip(
      range(3).map((i) => numbered(i, i * 3000, 290, 146)),
      'vp8',
      ['-vf', 'crop=289:145:0:0'],
    )
    const { frames } = await decodeAll(clip)
    expect(frames.map(({ width, height }) => [width, height])).toEqual(range(3).map(() => [288, 144]))
    expect(frames.map(numberOf)).toEqual(range(3))
  })

  it('is stretched to a size', async () => {
    const clip = await encodeClip(range(3).map((i) => numbered(i, i * 3000)))
    const { frames } = await decodeAll(clip, { size: { width: 640, height: 640 } })
    expect(frames[0]).toMatchObject({ width: 640, height: 640 })
    expect(frames.map(numberOf)).toEqual(range(3))
  })

  it('covers a size, cropped around the centre', async () => {
    // Left half black, right half white, in a frame twice as wide as high: both must reach the edges.
    const frame = numbered(0, 0)
    frame.data.fill(30, 0, 288 * 144)
    for (let y = 0; y < 144; y++) frame.data.fill(220, y * 288 + 144, (y + 1) * 288)
    const { frames } = await decodeAll(await encodeClip([frame]), { size: { width: 100, height: 100 }, fit: 'cover' })
    const row = frames[0]!.data.subarray(50 * 100, 51 * 100)
    expect(row.findIndex((luma) => luma > 125)).toBe(50)
    expect(row[0]).toBeLessThan(60)
    expect(row[99]).toBeGreaterThan(190)
  })

  it('follows the size of the stream when that changes', async () => {
    const first = await encodeClip(
      range(5).map((i) => numbered(i, i * 3000)),
      'h264',
      ['-bf', '0'],
    )
    const second = await encodeClip(
      range(5).map((i) => numbered(i + 5, (i + 5) * 3000, 432, 216)),
      'h264',
      ['-bf', '0'],
    )
    const { frames, closed } = await decodeAll(first, {}, [...first.packets, ...second.packets])
    expect(closed).toEqual({ why: 'ended' })
    const sizes = range(10).map((i) => (i < 5 ? [288, 144] : [432, 216]))
    expect(frames.map(({ width, height }) => [width, height])).toEqual(sizes)
    expect(frames.map(numberOf)).toEqual(range(10))
  })

  it('of an odd requested size is refused', async () => {
    const clip = await encodeClip([numbered(0, 0)])
    await expect(open(clip, { size: { width: 101, height: 100 } })).rejects.toThrow(/101x100; accepted are even sides/)
  })
})

describe('errors', () => {
  it('damaged packets lose only their frames', async () => {
    const clip = await encodeClip(
      range(60).map((i) => numbered(i, i * 3000)),
      'h264',
      ['-bf', '0', '-g', '15'],
    )
    const packets = clip.packets.map((packet, i) => {
      if (i % 15 === 0 || i % 4 !== 0 || i > 40) return packet
      return { ...packet, data: packet.data.map((byte, at) => (at > 8 && at % 3 === 0 ? byte ^ 0x5a : byte)) }
    })
    packets[20] = { ...packets[20]!, data: new Uint8Array(0) }
    packets[22] = { ...packets[22]!, data: new Uint8Array(500).fill(0xff) }
    const { frames, closed } = await decodeAll(clip, {}, packets)
    expect(closed).toEqual({ why: 'ended' })
    expect(frames.slice(-15).map(numberOf)).toEqual(range(15).map((i) => i + 45))
    const known = new Set(packets.map(({ pts }) => pts))
    expect(frames.every(({ pts }) => known.has(pts))).toBe(true)
  })

  it('packets before the first keyframe are refused', async () => {
    const clip = await encodeClip(
      range(30).map((i) => numbered(i, i * 3000)),
      'h264',
      ['-bf', '0', '-g', '15'],
    )
    const { frames, written } = await decodeAll(clip, {}, clip.packets.slice(5))
    expect(written).toBe(15)
    expect(frames.map(numberOf)).toEqual(range(15).map((i) => i + 15))
  })

  it('packets beyond the queue limit are refused up to a keyframe', async () => {
    const clip = await encodeClip(
      range(4).map((i) => numbered(i, i * 3000)),
      'h264',
      ['-bf', '0', '-g', '2'],
    )
    const { decoder } = await open(clip)
    const [key, delta] = clip.packets as [EncodedPacket, EncodedPacket]
    const large = { ...delta, data: new Uint8Array(5_000_000) }
    expect([key, large, large, large, delta].map((packet) => decoder.write(packet))).toEqual([
      true,
      true,
      true,
      false,
      false,
    ])
    await decoder.close()
  })

  it('new packets are accepted while a long group of frames is replayed', async () => {
    const clip = await encodeClip(
      range(320).map((i) => numbered(i, i * 3000, 640, 352)),
      'h264',
      ['-bf', '0', '-g', '1000'],
    )
    const { decoder, frames } = await open(clip)
    decoder.replay(clip.packets.slice(0, 300))
    await waitFor('the first of them', () => frames.length > 0, { everyMs: 1 })
    expect(clip.packets.slice(300).map((packet) => decoder.write(packet))).toEqual(Array(20).fill(true))
    decoder.end()
    await decoder.closed
    expect(frames.map(numberOf)).toEqual(range(320))
  })

  it('a killed ffmpeg is reported with its last lines', async () => {
    const clip = await encodeClip(range(5).map((i) => numbered(i, i * 3000)))
    const { decoder, frames } = await open(clip)
    for (const packet of clip.packets) decoder.write({ ...packet, data: packet.data.subarray(0, 600) })
    for (const packet of clip.packets) decoder.write(packet)
    await waitFor('frames', () => frames.length > 2)
    process.kill(decoder.pid, 'SIGKILL')
    const { why, error } = await decoder.closed
    expect(why).toBe('failed')
    expect(error).toMatchObject({ code: 'ffmpeg-failed', retryable: true, details: { signal: 'SIGKILL' } })
    expect(error?.message).toMatch(/^ffmpeg \(decoder\) was killed by SIGKILL/)
    expect(error?.details?.stderr).not.toEqual([])
    expect(() => decoder.write(clip.packets[0]!)).not.toThrow()
  })

  it('closing twice closes once, and an abort closes', async () => {
    const clip = await encodeClip([numbered(0, 0)])
    const { decoder } = await open(clip)
    expect(await Promise.all([decoder.close(), decoder.close()])).toEqual([{ why: 'stopped' }, { why: 'stopped' }])
    const abort = new AbortController()
    const options = { ffmpeg, track: clip.track, format: 'gray', onFrame: () => {} } as const
    const other = await openVideoDecoder(options, { log: quiet, signal: abort.signal })
    abort.abort()
    expect(await other.closed).toEqual({ why: 'stopped' })
    await expect(openVideoDecoder(options, { log: quiet, signal: abort.signal })).rejects.toThrow()
  })
})
