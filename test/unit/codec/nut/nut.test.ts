import { describe, expect, it } from 'vitest'
import { codecOf, type NutFrame, type NutStream, nutChecksum, tagOf } from '../../../../src/codec/nut/format.ts'
import { NutReader } from '../../../../src/codec/nut/reader.ts'
import { type NutStreamSpec, NutWriter } from '../../../../src/codec/nut/writer.ts'
import { AppError } from '../../../../src/core/errors.ts'

const TICKS = { num: 1, den: 90_000 }

/** Five H.264 pictures of 32x32 in coding order, as ffmpeg 5.1 writes them: sync points, info packets, time deltas. */
const FROM_FFMPEG = Buffer.from(
  [
    'bnV0L211bHRpbWVkaWEgY29udGFpbmVyAE5NelYfXwStWgMBgf9/AQGDkADAAAYAAAAAAAGgAAIBASgBACkAIQGffyACwAAxIAKg',
    'ADIgAZ9/IAHffyAB/3/AAAYAAAAAAAEGAwAAAQQAAAG2Av/6Av/7Av/8Av/9TeO0q05TEUBb8vnbPQAABEgyNjQADoOQAAIAJQAA',
    'AAFn9AAKkZspLYCIAAADAAgAAAMBkHiRLLAAAAABaM4DkZIgIAEBAOnyVeFOSatotZa6eAkAAAAAAAAAAABOSatotZa6eDIBAAAA',
    'AgdlbmNvZGVyAgxMYXZjIGxpYngyNjQMcl9mcmFtZV9yYXRlAgQyNS8x5tdyVU5L5K3uykVpBgAAAAAAAAOgAIJ2AAAAAWWIhADo',
    'IQAPho96hyYaos/qMAEbf8rwv8mB4iS/ZDxGAx88eQIZ7n4ADKlDmLo5QcZRx/gBbKw+PfhAhnl//8ABw6ceVUrTtZXE//+ACC9V',
    'vohnahRm/MwMVgaj35pof/4QgBoPl3IgxrigGX/g6MsuvhL+fTADN7FWf83wXT60ZBn7vgAi8KUtjMDgAWHIRpYH2grY+r+fT/4A',
    'OHjnxFIgGxW6ap+gbWgLlx8ZVZo19oMCo3dr4//46AKyCgkJ8pJMv9fcANB2Sk3l7/IhJcpAYQrkJSNRY3wsvYDJSwAXoHywnMA0',
    'DRf6wuyxV524rANu9B31+iEzlgAJEwEqKsFkJpF6X+Li4MqWAMt/dmuwvD2XkD6HLMrljoAFzygN3YERYmnt/AGG9EzqvC6IWXTl',
    'Vy38gp9gOmOWABqxCf1elo3DVv94eIksJFAkveKLoZV88ABM0ABIVCUCxOxE/4rFZVOWCyhdiMK4oE+gLIcmJS6oAAAAAAFBmiMK',
    'Jy/iv+APAAAAAAFBnkFBIsBzAAAAAAEBnmJBEWAC4AAUAAAAAUGaZDRFPif/6r3tf5P+q8A=',
  ].join(''),
  'base64',
)

function read(bytes: Uint8Array, step = bytes.length): { streams: NutStream[]; frames: NutFrame[] } {
  const streams: NutStream[] = []
  const frames: NutFrame[] = []
  const reader = new NutReader({ onStream: (stream) => streams.push(stream), onFrame: (frame) => frames.push(frame) })
  for (let at = 0; at < bytes.length; at += step) reader.push(bytes.subarray(at, at + step))
  return { streams, frames }
}

function write(spec: NutStreamSpec, frames: { pts: number; key: boolean; data: Uint8Array }[]): Buffer {
  const writer = new NutWriter(spec, TICKS)
  const parts = frames.flatMap(({ pts, key, data }) => [writer.frame(pts, key, data.length), data])
  return Buffer.concat([writer.header(), ...parts])
}

const bytes = (length: number, seed = 1) => Uint8Array.from({ length }, (_, i) => (i * 31 + seed * 17) & 0xff)
const video: NutStreamSpec = { kind: 'video', codec: 'h264', width: 1280, height: 720, decodeDelay: 2 }

describe('the output of ffmpeg', () => {
  const check = ({ streams, frames }: ReturnType<typeof read>) => {
    expect(streams).toMatchObject([
      { id: 0, kind: 'video', codec: 'h264', width: 32, height: 32, timeBase: { num: 1, den: 51_200 }, decodeDelay: 2 },
    ])
    expect(streams[0]?.extradata.length).toBe(37)
    expect(frames.map(({ pts, key, data }) => [pts, key, data.length])).toEqual([
      [4096, true, 374],
      [10_240, false, 13],
      [6144, false, 10],
      [8192, false, 10],
      [12_288, false, 20],
    ])
    for (const { data } of frames) expect([...data.subarray(0, 4)]).toEqual([0, 0, 0, 1])
  }

  it('is read whole', () => check(read(FROM_FFMPEG)))
  it.each([1, 2, 3, 7, 64, 500])('is read in chunks of %i bytes', (step) => check(read(FROM_FFMPEG, step)))
})

describe('our output', () => {
  it.each([1, 5, 1000, 1 << 20])('reads back exactly, in chunks of %i bytes', (step) => {
    const sent = [0, 3003, 1, 2 ** 33 + 5, 2 ** 40, 90_000].map((pts, i) => ({
      pts,
      key: i === 0,
      data: bytes(i * 700, i),
    }))
    const { streams, frames } = read(write(video, sent), step)
    expect(streams).toMatchObject([{ kind: 'video', codec: 'h264', width: 1280, height: 720, timeBase: TICKS }])
    expect(frames.map(({ pts, key, data }) => ({ pts, key, data }))).toEqual(sent)
  })

  it('keeps audio and its extradata', () => {
    const spec: NutStreamSpec = { kind: 'audio', codec: 'opus', sampleRate: 48_000, channels: 2, extradata: bytes(19) }
    const { streams } = read(write(spec, []))
    expect(streams).toMatchObject([{ kind: 'audio', codec: 'opus', sampleRate: 48_000, channels: 2 }])
    expect(streams[0]?.extradata).toEqual(bytes(19))
  })

  it('may carry a frame rate in an info packet', () => {
    const { streams, frames } = read(write({ ...video, frameRate: 29.97 }, [{ pts: 1, key: true, data: bytes(3) }]))
    expect(streams).toHaveLength(1)
    expect(frames).toHaveLength(1)
  })

  it('reads each frame into its own buffer', () => {
    const { frames } = read(
      write(
        video,
        [1, 2].map((pts) => ({ pts, key: true, data: bytes(100, pts) })),
      ),
    )
    expect(frames.map(({ data }) => data.byteLength === data.buffer.byteLength)).toEqual([true, true])
    expect(frames[0]?.data.buffer).not.toBe(frames[1]?.data.buffer)
  })
})

describe('a reader with an allocator for frames', () => {
  const sizes = [100, 90_000, 500_000, 40, 200_000, 200_000]
  const frames = sizes.map((size, i) => ({ pts: i, key: true, data: bytes(size, i) }))
  const stream = write({ ...video, codec: 'yuv420p' }, frames)

  /** Feeds the stream into the room the reader offers, at most `most` bytes at a time. */
  function fill(most: number) {
    const got: NutFrame[] = []
    const reader = new NutReader({ onFrame: (frame) => got.push(frame) })
    let elsewhere = 0
    for (let at = 0; at < stream.length; ) {
      const given = reader.room()
      const room = given ?? new Uint8Array(65_536)
      const part = stream.subarray(at, at + Math.min(most, room.length))
      room.set(part)
      if (!given || room.byteOffset === 0) elsewhere += part.length
      reader.push(room.subarray(0, part.length))
      at += part.length
    }
    return { got, elsewhere }
  }

  it.each([1 << 20, 131_072, 4999, 7])('gets the same frames, %i bytes at a time', (most) => {
    const { got } = fill(most)
    expect(got.map(({ pts, data }) => [pts, Buffer.from(data).equals(frames[pts]!.data)])).toEqual(
      sizes.map((_, i) => [i, true]),
    )
  })

  it('has nearly all bytes of large frames written into the allocated memory', () => {
    expect(fill(131_072).elsewhere).toBeLessThan(0.2 * stream.length)
  })
})

describe('the checksum', () => {
  it('is zero over bytes followed by their checksum', () => {
    const sum = nutChecksum(bytes(100))
    expect(nutChecksum(Uint8Array.from([...bytes(100), sum >>> 24, sum >>> 16, sum >>> 8, sum]))).toBe(0)
  })
})

describe('the codec tags', () => {
  it.each(['h264', 'hevc', 'vp8', 'yuv420p', 'rgb24', 'rgba', 'gray', 'opus', 'aac', 'mp3', 'pcm_s16le'] as const)(
    'of %s read back',
    (codec) => expect(codecOf(tagOf(codec))).toBe(codec),
  )
  it('may be two bytes', () => expect(codecOf('\x55\0')).toBe('mp3'))
  it('may be unknown', () => expect(codecOf('FFV1')).toBeUndefined())
})

describe('malformed input', () => {
  const refusal = (input: Uint8Array, maxFrameBytes?: number): AppError => {
    const reader = new NutReader({ onFrame: () => {}, ...(maxFrameBytes && { maxFrameBytes }) })
    try {
      reader.push(input)
    } catch (thrown) {
      if (thrown instanceof AppError) return thrown
      throw thrown
    }
    throw new Error('nothing was thrown')
  }
  const whole = write(video, [{ pts: 5, key: true, data: bytes(50) }])

  it('is reported: another file format', () => {
    expect(refusal(Buffer.from('RIFF....'))).toMatchObject({
      code: 'unsupported-media',
      message: 'malformed NUT stream: it does not begin with the NUT file id',
    })
  })
  it('is reported: a damaged header', () => {
    const damaged = Buffer.from(whole)
    damaged[45]! ^= 1
    expect(refusal(damaged).message).toBe('malformed NUT stream: a packet fails its checksum')
  })
  it('is reported: a damaged frame header', () => {
    const damaged = Buffer.from(whole)
    damaged[whole.length - 50 - 6]! ^= 1
    expect(refusal(damaged).message).toMatch(/^malformed NUT stream: a frame fails its checksum/)
  })
  it('is reported: a frame that is too large', () => {
    expect(refusal(whole, 40).message).toBe('malformed NUT stream: frame size is 50, at most 40 is accepted')
  })
  it('is reported: a frame before any header', () => {
    expect(refusal(Buffer.concat([whole.subarray(0, 25), bytes(60)])).message).toMatch(/before the main header/)
  })

  it('throws nothing but AppError, whatever the bytes', () => {
    let state = 12_345
    const random = (below: number) => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
      return Math.floor((state / 2 ** 32) * below)
    }
    let refused = 0
    for (let round = 0; round < 3000; round++) {
      const input = Buffer.from(round % 2 ? FROM_FFMPEG : whole)
      // Damage behind the header checksums reaches the frames.
      const from = round % 3 ? 25 : 0
      for (let i = 0; i <= random(4); i++) input[from + random(input.length - from)] = random(256)
      try {
        read(input.subarray(0, 25 + random(input.length)), 1 + random(200))
      } catch (thrown) {
        expect(thrown).toBeInstanceOf(AppError)
        refused++
      }
    }
    expect(refused).toBeGreaterThan(500)
  })
})
