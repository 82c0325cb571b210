import { describe, expect, test } from 'vitest'
import { joinNalUnits } from '../../../../src/codec/annexb.ts'
import { pesHeader } from '../../../../src/codec/mpegts/pes.ts'
import { TsReader } from '../../../../src/codec/mpegts/reader.ts'
import { TsWriter } from '../../../../src/codec/mpegts/writer.ts'
import type { EncodedPacket } from '../../../../src/core/media/packet.ts'
import {
  AAC_STREAM,
  AUD,
  adts,
  audioPackets,
  byKind,
  bytesOf,
  frame,
  frames,
  H264_STREAM,
  HandMux,
  hex,
  OPUS,
  PPS,
  readAll,
  SPS_640x360,
  slice,
  unbounded,
} from './ts-samples.ts'

describe('a PES packet without length', () => {
  /** Bytes of PES header and PCR in front of a frame in its transport packets. */
  const OVERHEAD = unbounded(0).length

  test('ends with its last packet once stuffing has proved to mark the end', () => {
    const mux = new HandMux()
    const reader = new TsReader()
    const counts = [reader.push(bytesOf(mux.tables(H264_STREAM))).length]
    for (let i = 0; i < 8; i++) counts.push(reader.push(mux.video(frame(i === 0, 1000), 3000 * i)).length)
    // The first three end with the start of the next one, the fourth at once, together with the third.
    expect(counts).toEqual([0, 0, 1, 1, 2, 1, 1, 1, 1])
    expect(reader.flush()).toEqual([])
    expect(reader.lost).toBe(0)
  })

  test('that fills its last packet exactly ends with the next one', () => {
    const mux = new HandMux()
    const reader = new TsReader()
    reader.push(mux.tables(H264_STREAM))
    for (let i = 0; i < 5; i++) reader.push(mux.video(frame(i === 0, 1000), 3000 * i))
    const exact = frame(false, 184 * 4 - OVERHEAD)
    expect(reader.push(mux.video(exact, 15_000))).toEqual([])
    const next = reader.push(mux.video(frame(false, 500), 18_000))
    expect(next.map(({ pts }) => pts)).toEqual([15_000, 18_000])
    expect(next[0]?.data).toEqual(exact)
  })

  test('all of which fill their packets exactly are read whole, the last one too', () => {
    const mux = new HandMux()
    const sent = Array.from({ length: 6 }, (_, i) => frame(i === 0, 184 * 3 - OVERHEAD))
    const { packets, reader } = readAll(
      bytesOf(mux.tables(H264_STREAM), ...sent.map((data, i) => mux.video(data, 3000 * i)), new HandMux().tables()),
    )
    expect(packets.map(({ data }) => data)).toEqual(sent)
    expect(reader.lost).toBe(0)
  })

  test('is never cut by a multiplexer that stuffs in the middle', () => {
    const mux = new HandMux()
    const sent: Uint8Array[] = []
    const parts = [mux.tables(H264_STREAM)]
    for (let i = 0; i < 10; i++) {
      const data = frame(i === 0, 900)
      sent.push(data)
      parts.push(...stuffedInside(mux, data, 3000 * i))
    }
    const { packets, reader } = readAll(bytesOf(...parts))
    expect(packets.map(({ data }) => data)).toEqual(sent)
    expect(reader.lost).toBe(0)
  })

  test('cut by stuffing in the middle is counted, and it never happens again', () => {
    const mux = new HandMux()
    const reader = new TsReader()
    reader.push(mux.tables(H264_STREAM))
    for (let i = 0; i < 6; i++) reader.push(mux.video(frame(i === 0, 1000), 3000 * i))
    const out: EncodedPacket[] = []
    for (let i = 6; i < 12; i++) out.push(...reader.push(bytesOf(...stuffedInside(mux, frame(false, 900), 3000 * i))))
    out.push(...reader.flush())
    expect(out.map(({ data }) => data.length)).toEqual([300, 900, 900, 900, 900, 900])
    expect(reader.lost).toBe(1)
  })

  /** A frame with a stuffed packet after its 300th byte. */
  function stuffedInside(mux: HandMux, data: Uint8Array, pts: number): Uint8Array[] {
    const first = mux.video(data.subarray(0, 300), pts)
    const rest = mux.pes(0x100, data.subarray(300))
    rest[1] = (rest[1] as number) & ~0x40
    return [first, rest]
  }
})

describe('a PES packet with length', () => {
  const told = (data: Uint8Array, pts: number) => bytesOf(pesHeader(0xe0, data.length, pts, pts), data)

  test('may continue in PES packets without a timestamp', () => {
    const mux = new HandMux()
    const parts = [mux.tables(H264_STREAM)]
    const sent = Array.from({ length: 6 }, (_, i) => frame(i === 0, 1000))
    for (const [i, data] of sent.entries()) {
      const more = bytesOf(
        hex('000001e0'),
        Uint8Array.of(600 >> 8, (600 + 3) & 0xff),
        hex('800000'),
        data.subarray(400),
      )
      parts.push(mux.pes(0x100, told(data.subarray(0, 400), 3000 * i)), mux.pes(0x100, more))
    }
    const { packets, reader } = readAll(bytesOf(...parts))
    expect(packets.map(({ data }) => data)).toEqual(sent)
    expect(reader.lost).toBe(0)
  })

  test('of the maximum length is waited for, and delivered at the end', () => {
    const mux = new HandMux()
    const parts = [mux.tables(H264_STREAM)]
    const sent = Array.from({ length: 8 }, (_, i) => frame(i === 0, i < 5 ? 1000 : i === 5 ? 100_000 : 65_000))
    for (const [i, data] of sent.entries()) {
      parts.push(mux.pes(0x100, told(data.subarray(0, 65_000), 3000 * i)))
      const rest = data.subarray(65_000)
      if (rest.length > 0) parts.push(mux.pes(0x100, bytesOf(hex('000001e0 88bb 800000'), rest)))
    }
    const { packets, reader } = readAll(bytesOf(...parts))
    expect(packets.map(({ data }) => data.length)).toEqual(sent.map(({ length }) => length))
    expect(reader.lost).toBe(0)
  })

  test('slices with the same timestamp form one frame', () => {
    const mux = new HandMux()
    const parts = [mux.tables(H264_STREAM)]
    const first = joinNalUnits([AUD, SPS_640x360, PPS, slice(5, 300)])
    const second = joinNalUnits([slice(5, 200, false)])
    for (let i = 0; i < 6; i++) {
      parts.push(mux.pes(0x100, told(first, 3000 * i)), mux.pes(0x100, told(second, 3000 * i)))
    }
    const { packets } = readAll(bytesOf(...parts))
    expect(packets.map(({ data, pts }) => [data.length, pts])).toEqual(
      Array.from({ length: 6 }, (_, i) => [first.length + second.length, 3000 * i]),
    )
  })
})

test('several frames in one PES packet are split, with their timestamps counted on', () => {
  const mux = new HandMux()
  const group = (key: boolean) => bytesOf(frame(key, 300), frame(false, 200), frame(false, 250))
  const times = [0, 1, 2].map((i) => 90_000 + i * 4500)
  const { packets } = readAll(
    bytesOf(mux.tables(H264_STREAM), ...times.map((pts, i) => mux.video(group(i === 0), pts)), new HandMux().tables()),
  )
  expect(packets.map(({ data }) => data.length)).toEqual([300, 200, 250, 300, 200, 250, 300, 200, 250])
  expect(packets.slice(3).map(({ pts }) => pts)).toEqual([94_500, 96_000, 97_500, 99_000, 100_500, 102_000])
})

test('a new size is a new track, and a bare keyframe gets the previous parameter sets', () => {
  const other = hex('6742c00dda0507e8400000030040000007a3c50aa8')
  const units = [
    frame(true, 300),
    joinNalUnits([AUD, slice(5, 200)]),
    joinNalUnits([AUD, other, PPS, slice(5, 200)]),
    frame(false, 300),
  ]
  const mux = new HandMux()
  const { packets } = readAll(bytesOf(mux.tables(H264_STREAM), ...units.map((data, i) => mux.video(data, 3000 * i))))
  expect(packets.map(({ track }) => track)).toMatchObject([
    { width: 640, height: 360 },
    { width: 640, height: 360 },
    { width: 320, height: 240 },
    { width: 320, height: 240 },
  ])
  expect(packets[0]?.track).toBe(packets[1]?.track)
  expect(packets[1]?.data).toEqual(joinNalUnits([AUD, SPS_640x360, PPS, slice(5, 200)]))
})

test('audio may join later, and change its codec', () => {
  const opus = Array.from({ length: 20 }, (_, i) => ({
    track: OPUS,
    data: Uint8Array.of(0xfc, i),
    pts: 90_000 + i * 1800,
    key: true,
  }))
  const later = (packets: EncodedPacket[], ticks: number) => packets.map((p) => ({ ...p, pts: p.pts + ticks }))
  const sent = [...frames(60), ...later(audioPackets(20), 40_000), ...later(opus, 100_000)].sort(
    (a, b) => a.pts - b.pts,
  )
  const writer = new TsWriter()
  const reader = new TsReader()
  const programs = new Set<string | undefined>()
  const read = sent.flatMap((packet) => {
    const packets = reader.push(writer.write(packet))
    programs.add(reader.program?.audio)
    return packets
  })
  expect(byKind([...read, ...reader.flush()])).toEqual(byKind(sent))
  expect([...programs]).toEqual([undefined, 'aac', 'opus'])
  expect(reader.lost).toBe(0)
})

test('nothing is delivered before the first decodable keyframe', () => {
  const mux = new HandMux()
  const units = [frame(false, 300), joinNalUnits([AUD, slice(5, 200)]), frame(true, 300), frame(false, 300)]
  const { packets } = readAll(bytesOf(mux.tables(H264_STREAM), ...units.map((data, i) => mux.video(data, 3000 * i))))
  expect(packets.map(({ pts }) => pts)).toEqual([6000, 9000])
})

describe('audio', () => {
  const pes = (data: Uint8Array, pts: number) => bytesOf(pesHeader(0xc0, data.length, pts, pts), data)

  test('frames across PES packets are whole, with the timestamp of their start', () => {
    const frames = Array.from({ length: 8 }, (_, i) => adts(100 + i))
    const all = bytesOf(...frames)
    const mux = new HandMux()
    // The second PES packet starts inside the fourth frame, so its timestamp is that of the fifth.
    const cut = 330
    const { packets } = readAll(
      bytesOf(
        mux.tables(AAC_STREAM),
        mux.pes(0x101, pes(all.subarray(0, cut), 10_000)),
        mux.pes(0x101, pes(all.subarray(cut), 90_000)),
      ),
    )
    expect(packets.map(({ data }) => data)).toEqual(frames)
    expect(packets.map(({ pts }) => pts)).toEqual([10_000, 11_920, 13_840, 15_760, 90_000, 91_920, 93_840, 95_760])
  })

  test('bytes outside frames are skipped and counted', () => {
    const mux = new HandMux()
    const frames = [adts(120), adts(130), adts(140)] as const
    const noisy = bytesOf(frames[0], hex('ff00fff1ffff0102'), frames[1], frames[2])
    const { packets, reader } = readAll(bytesOf(mux.tables(AAC_STREAM), mux.pes(0x101, pes(noisy, 0))))
    expect(packets.map(({ data }) => data)).toEqual([...frames])
    expect(reader.lost).toBe(1)
  })

  test('a new sample rate is a new track', () => {
    const mono = adts(100)
    mono[2] = 0x50
    mono[3] = 0x40
    const mux = new HandMux()
    const { packets } = readAll(
      bytesOf(mux.tables(AAC_STREAM), mux.pes(0x101, pes(adts(100), 0)), mux.pes(0x101, pes(mono, 1920))),
    )
    expect(packets.map(({ track }) => track)).toMatchObject([
      { sampleRate: 48_000, channels: 2 },
      { sampleRate: 44_100, channels: 1 },
    ])
  })
})
