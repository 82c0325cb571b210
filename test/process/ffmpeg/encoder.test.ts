import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { nalUnits } from '../../../src/codec/annexb.ts'
import { parseH264Sps } from '../../../src/codec/h264/sps.ts'
import { nowMs } from '../../../src/core/clock.ts'
import { LatencyMeter } from '../../../src/core/counters.ts'
import { frameBytes, PIXEL_FORMATS, type PixelFormat, type VideoFrame } from '../../../src/core/media/frame.ts'
import type { EncodedPacket, VideoTrack } from '../../../src/core/media/packet.ts'
import type { Ffmpeg } from '../../../src/ffmpeg/binary.ts'
import { openVideoDecoder } from '../../../src/ffmpeg/decoder/decoder.ts'
import { openVideoEncoder, type VideoEncoderOptions } from '../../../src/ffmpeg/encoder/encoder.ts'
import { nothingLeft } from '../../helpers/nothing-left.ts'
import { waitFor } from '../../helpers/wait.ts'
import { numbered, numberOf, quiet, range, readNut, runFfmpeg, testFfmpeg } from './clips.ts'

let ffmpeg: Ffmpeg
let clean: ReturnType<typeof nothingLeft>

beforeAll(async () => {
  ffmpeg = await testFfmpeg()
})
beforeEach(() => {
  clean = nothingLeft()
})
afterEach(() => clean())

async function open(options: Partial<VideoEncoderOptions> = {}) {
  const packets: EncodedPacket[] = []
  const encoder = await openVideoEncoder(
    {
      ffmpeg,
      format: 'yuv420p',
      width: 288,
      height: 144,
      bitrateKbps: 1500,
      trackId: 'out',
      onPacket: (packet) => packets.push(packet),
      ...options,
    },
    { log: quiet },
  )
  /** Encodes frames one at a time, each after the previous one has come out, so that none is replaced. */
  const feed = async (frames: VideoFrame[], key: (i: number) => boolean = () => false) => {
    for (const [i, frame] of frames.entries()) {
      const before = packets.length
      encoder.encode(frame, { key: key(i) })
      await waitFor(`packet ${i}`, () => packets.length > before, { everyMs: 0.2 })
    }
  }
  return { encoder, packets, feed }
}

async function decode(packets: EncodedPacket[], format: PixelFormat = 'yuv420p'): Promise<VideoFrame[]> {
  const frames: VideoFrame[] = []
  const { codec } = packets[0]!.track as VideoTrack
  const track: VideoTrack = { id: 'v', kind: 'video', codec }
  const onFrame = (frame: VideoFrame) => frames.push(frame)
  const decoder = await openVideoDecoder({ ffmpeg, track, format, onFrame }, { log: quiet })
  for (const packet of packets) decoder.write(packet)
  decoder.end()
  await decoder.closed
  return frames
}

const nalTypes = (data: Uint8Array): number[] =>
  range(data.length - 3)
    .filter((i) => data[i] === 0 && data[i + 1] === 0 && data[i + 2] === 1)
    .map((i) => data[i + 3]! & 31)

/** Raw frames with motion. */
function moving(count: number, width: number, height: number, format: PixelFormat = 'yuv420p'): VideoFrame[] {
  const source = `testsrc2=size=${width}x${height}:rate=30`
  const args = ['-f', 'lavfi', '-i', source, '-frames:v', String(count), '-c:v', 'rawvideo', '-pix_fmt', format]
  const { frames } = readNut(runFfmpeg(ffmpeg.path, [...args, '-f', 'nut', 'pipe:1']))
  return frames.map(({ data }, i) => ({ data, format, width, height, pts: i * 3000 }))
}

describe('timestamps', () => {
  it.each([0, 2 ** 33 - 30_000, 2 ** 40 + 1])('are those of the frames, from %i', async (base) => {
    const { encoder, packets, feed } = await open()
    const pts = (i: number) => base + i * 3000 + ((i * 7919) % 1400)
    await feed(range(30).map((i) => numbered(i, pts(i))))
    encoder.end()
    expect(await encoder.closed).toEqual({ why: 'ended' })
    expect(packets.map((packet) => packet.pts)).toEqual(range(30).map(pts))
    expect((await decode(packets)).map(numberOf)).toEqual(range(30))
  })

  it('stay exact where they jump, repeat or go back', async () => {
    const { encoder, packets, feed } = await open()
    const pts = [0, 3000, 6000, 6000, 5000, 1e10, 1e10 + 3000, 500, 3500]
    await feed(pts.map((value, i) => numbered(i, value)))
    await encoder.close()
    expect(packets.map((packet) => packet.pts)).toEqual(pts)
  })
})

describe('keyframes', () => {
  it('come exactly on request, and first', async () => {
    const { encoder, packets, feed } = await open({ width: 320, height: 180 })
    const asked = new Set([7, 8, 25, 59])
    await feed(moving(80, 320, 180), (i) => asked.has(i))
    await encoder.close()
    expect(packets.flatMap(({ key }, i) => (key ? [i] : []))).toEqual([0, ...asked])
  })

  it('are self-contained: parameter sets first, decodable on their own', async () => {
    const { encoder, packets, feed } = await open()
    await feed(
      range(20).map((i) => numbered(i, i * 3000)),
      (i) => i === 10,
    )
    await encoder.close()
    for (const packet of packets) {
      const types = nalTypes(packet.data)
      if (packet.key) expect(types).toEqual(expect.arrayContaining([7, 8, 5]))
      else expect(types).toEqual([1])
    }
    expect((await decode(packets.slice(10))).map(numberOf)).toEqual(range(10).map((i) => i + 10))
  })
})

describe('the stream', () => {
  it.each(['yuv420p', 'rgb24'] as const)('of %s frames may be smaller than they are', async (format) => {
    const scaledTo = { width: 160, height: 90 }
    const { encoder, packets, feed } = await open({ format, width: 320, height: 180, scaledTo, background: true })
    const frames = moving(5, 320, 180, format)
    await feed(frames)
    await encoder.close()
    expect(packets[0]?.track).toMatchObject(scaledTo)
    const decoded = await decode(packets, format)
    expect(decoded).toHaveLength(5)
    expect(decoded[4]).toMatchObject(scaledTo)
    const mean = ({ data }: VideoFrame) => data.reduce((sum, value) => sum + value, 0) / data.length
    expect(Math.abs(mean(decoded[4]!) - mean(frames[4]!))).toBeLessThan(4)
  })

  it('is constrained baseline without reordering, at the lowest level', async () => {
    const { encoder, packets, feed } = await open({ width: 1280, height: 720 })
    await feed(moving(2, 1280, 720))
    await encoder.close()
    const data = Buffer.from(packets[0]!.data)
    const sps = data.subarray(
      data.indexOf(Buffer.from([0, 0, 1, 0x67])) + 3,
      data.indexOf(Buffer.from([0, 0, 0, 1, 0x68])),
    )
    expect(parseH264Sps(sps)).toMatchObject({ profile: 66, level: 31, width: 1280, height: 720, reorderFrames: 0 })
    // constraint_set1_flag: decodable by Main profile decoders too.
    expect(parseH264Sps(sps).constraints & 0x40).toBe(0x40)
    expect(packets[0]?.track).toEqual({ id: 'out', kind: 'video', codec: 'h264', width: 1280, height: 720 })
  })

  it.each([30, 60])('has the requested bitrate at %i frames per second', async (fps) => {
    const { encoder, packets, feed } = await open({ width: 640, height: 360, bitrateKbps: 1000, fps })
    const frames = moving(150, 640, 360)
    await feed(frames.map((frame, i) => ({ ...frame, pts: (i * 90_000) / fps })))
    await encoder.close()
    const kbps = (packets.reduce((sum, { data }) => sum + data.length, 0) * 8) / (150 / fps) / 1000
    expect(kbps).toBeGreaterThan(700)
    expect(kbps).toBeLessThan(1200)
  })

  it.each(PIXEL_FORMATS)('keeps the colours of %s', async (format) => {
    const { encoder, packets, feed } = await open({ format, bitrateKbps: 5000 })
    const frames = moving(6, 288, 144, format)
    await feed(frames)
    await encoder.close()
    const [last] = (await decode(packets, format)).slice(-1)
    const error = frames[5]!.data.reduce((sum, value, i) => sum + Math.abs(value - last!.data[i]!), 0)
    expect(error / frameBytes(format, 288, 144)).toBeLessThan(8)
  })
})

describe('the bitstream signals', () => {
  const bt709 = { primaries: 1, transfer: 1, matrix: 1, fullRange: false }
  const bt601 = { primaries: 1, transfer: 1, matrix: 6, fullRange: false }
  it.each([
    ['the colours of yuv420p as they were told', 'yuv420p', bt709, bt709],
    ['BT.601 when nothing was told', 'yuv420p', undefined, bt601],
    ['what RGB is converted to', 'rgb24', bt709, bt709],
    ['BT.601 for RGB when nothing was told', 'rgb24', undefined, bt601],
  ] as const)('%s', async (_, format, colour, expected) => {
    const { encoder, packets, feed } = await open({ format, ...(colour && { colour }) })
    await feed(moving(1, 288, 144, format))
    await encoder.close()
    const sps = [...nalUnits(packets[0]!.data)].find((nal) => (nal[0]! & 0x1f) === 7)
    expect(parseH264Sps(sps!).colour).toEqual(expected)
  })
})

describe('VP8', () => {
  it.each([
    ['BT.601', { primaries: 1, transfer: 1, matrix: 6, fullRange: false }, [81, 90, 240]],
    ['BT.709', { primaries: 1, transfer: 1, matrix: 1, fullRange: false }, [63, 102, 240]],
    ['BT.601 in full range', { primaries: 1, transfer: 1, matrix: 6, fullRange: true }, [76, 85, 255]],
  ] as const)('shows red of %s as red', async (_, colour, [y, u, v]) => {
    const { encoder, packets, feed } = await open({ codec: 'vp8', colour, bitrateKbps: 5000 })
    const data = new Uint8Array(frameBytes('yuv420p', 288, 144)).fill(y)
    const chroma = 144 * 72
    data.fill(u, 288 * 144, 288 * 144 + chroma).fill(v, 288 * 144 + chroma)
    await feed(range(3).map((i) => ({ format: 'yuv420p', width: 288, height: 144, data, pts: i * 3000 })))
    await encoder.close()
    expect(packets.map(({ track, key }) => [track.codec, key])).toEqual([
      ['vp8', true],
      ['vp8', false],
      ['vp8', false],
    ])
    const [, , last] = await decode(packets, 'yuv420p')
    const middle = [last!.data[72 * 288 + 144]!, last!.data[288 * 144 + 36 * 144 + 72]!, last!.data.at(-5000)!]
    for (const [i, wanted] of [81, 90, 240].entries()) expect(Math.abs(middle[i]! - wanted)).toBeLessThanOrEqual(2)
  })

  it('delivers each frame before the next goes in, and a keyframe on request', async () => {
    const { encoder, packets } = await open({ codec: 'vp8' })
    for (const [i, frame] of moving(12, 288, 144).entries()) {
      encoder.encode(frame, { key: i === 7 })
      await waitFor(`packet ${i}`, () => packets.length > i)
    }
    await encoder.close()
    expect(packets.map(({ key }, i) => (key ? i : -1)).filter((i) => i >= 0)).toEqual([0, 7])
  })
})

describe('delay', () => {
  it('is zero frames: each packet comes out before the next frame goes in', async () => {
    const { encoder, packets } = await open({ width: 1280, height: 720, bitrateKbps: 2500 })
    const delays = new LatencyMeter()
    for (const [i, frame] of moving(40, 1280, 720).entries()) {
      const began = nowMs()
      encoder.encode(frame)
      await waitFor(`packet ${i}`, () => packets.length > i, { everyMs: 0.2 })
      if (i > 5) delays.add(nowMs() - began)
    }
    await encoder.close()
    // About 4 ms on a quiet machine; a buffered frame would not have come out at all.
    expect(delays.percentiles().p50).toBeLessThan(80)
  })

  it('may grow in the time that is given for it: a burst is encoded whole', async () => {
    const { encoder, packets } = await open({ width: 1280, height: 720, patientUntil: () => nowMs() + 60_000 })
    const frames = moving(5, 1280, 720)
    for (let i = 0; i < 25; i++) encoder.encode({ ...frames[i % 5]!, pts: i * 3000 })
    await waitFor('all of it', () => packets.length === 25)
    expect(encoder.dropped).toBe(0)
    await encoder.close()
  })

  it('does not grow under load: the backlog is dropped for the newest frame, and keyframe requests move to it', async () => {
    const { encoder, packets } = await open({ width: 1280, height: 720 })
    const frames = moving(5, 1280, 720)
    for (let i = 0; i < 100; i++) encoder.encode({ ...frames[i % 5]!, pts: i * 3000 }, { key: i === 50 })
    await waitFor('the last frame', () => packets.at(-1)?.pts === 99 * 3000)
    await encoder.close()
    expect(encoder.dropped).toBeGreaterThan(80)
    expect(encoder.dropped + packets.length).toBe(100)
    expect(packets.filter(({ key }) => key)).toHaveLength(2)
    expect(packets.some(({ key, pts }) => key && pts >= 50 * 3000)).toBe(true)
  })
})

describe('errors', () => {
  it('a frame of another size or format is refused', async () => {
    const { encoder } = await open()
    expect(() => encoder.encode(numbered(0, 0, 432, 216))).toThrow(
      'the encoder got a yuv420p frame of 432x216 in 139968 bytes; accepted are yuv420p frames of 288x144',
    )
    expect(() => encoder.encode({ ...numbered(0, 0), data: new Uint8Array(5) })).toThrow(/in 5 bytes; accepted/)
    await encoder.close()
    await expect(open({ width: 287 })).rejects.toThrow(/287x144; accepted are even sides/)
  })

  it('a killed ffmpeg is reported', async () => {
    const { encoder, feed } = await open()
    await feed([numbered(0, 0)])
    process.kill(encoder.pid, 'SIGKILL')
    expect(await encoder.closed).toMatchObject({ why: 'failed', error: { code: 'ffmpeg-failed' } })
    expect(() => encoder.encode(numbered(1, 3000))).not.toThrow()
  })

  it('closing delivers the last frames', async () => {
    const { encoder, packets } = await open()
    for (let i = 0; i < 5; i++) encoder.encode(numbered(i, i * 3000))
    encoder.end()
    encoder.encode(numbered(9, 9 * 3000))
    expect(await encoder.closed).toEqual({ why: 'ended' })
    expect(packets.at(-1)?.pts).toBe(4 * 3000)
  })
})
