import { describe, expect, test } from 'vitest'
import { joinNalUnits } from '../../../../src/codec/annexb.ts'
import { parseTsPacket } from '../../../../src/codec/mpegts/packet.ts'
import { parsePesHeader, pesHeader } from '../../../../src/codec/mpegts/pes.ts'
import { TsReader } from '../../../../src/codec/mpegts/reader.ts'
import { TsWriter } from '../../../../src/codec/mpegts/writer.ts'
import { AppError } from '../../../../src/core/errors.ts'
import type { EncodedPacket, Track } from '../../../../src/core/media/packet.ts'
import { AAC, AUD, audioPackets, dice, frame, frames, OPUS, slice, VIDEO } from './ts-samples.ts'

const PAT = 0
const PMT = 0x1000

function split(bytes: Uint8Array): { pid: number; bytes: Uint8Array }[] {
  expect(bytes.length % 188).toBe(0)
  return Array.from({ length: bytes.length / 188 }, (_, i) => {
    const packet = bytes.subarray(i * 188, (i + 1) * 188)
    expect(packet[0]).toBe(0x47)
    return { pid: parseTsPacket(packet, 0).pid, bytes: packet }
  })
}

/** PCR of a packet, if present. */
function clockOf(packet: Uint8Array): number | undefined {
  if (!((packet[3] as number) & 0x20) || packet[4] === 0 || !((packet[5] as number) & 0x10)) return undefined
  const at = (i: number) => packet[6 + i] as number
  return at(0) * 2 ** 25 + ((at(1) << 17) | (at(2) << 9) | (at(3) << 1)) + (at(4) >> 7)
}

const pmtVersion = (packet: Uint8Array) => ((packet[5 + 5] as number) >> 1) & 31

describe('tables', () => {
  test('precede every keyframe, and are sent at least twice a second', () => {
    const writer = new TsWriter([VIDEO])
    const tables = frames(60, 30).map((packet) => split(writer.write(packet))[0]?.pid === PAT)
    expect(tables.flatMap((has, i) => (has ? [i] : []))).toEqual([0, 15, 30, 45])
  })

  test('are repeated after a restart', () => {
    const writer = new TsWriter([VIDEO])
    const [first, second, third] = frames(3) as [EncodedPacket, EncodedPacket, EncodedPacket]
    writer.write(first)
    expect(split(writer.write(second))[0]?.pid).toBe(0x100)
    writer.restart()
    expect(split(writer.write(third)).map(({ pid }) => pid)).toEqual([PAT, PMT, 0x100, 0x100, 0x100, 0x100, 0x100])
  })

  test('get a new version only when a track joins or changes its codec', () => {
    const writer = new TsWriter()
    const at = (packet: EncodedPacket) => split(writer.write(packet)).filter(({ pid }) => pid === PMT)
    const [frame] = frames(1) as [EncodedPacket]
    const [audio] = audioPackets(1) as [EncodedPacket]
    const versions = [frame, audio, audio, { ...audio, track: OPUS, data: Uint8Array.of(0xfc, 1, 2) }, frame]
      .map((packet) => at(packet)[0]?.bytes)
      .map((packet) => packet && pmtVersion(packet))
    expect(versions).toEqual([0, 1, undefined, 2, 2])
  })
})

describe('packets', () => {
  test('have continuous counters in each PID', () => {
    const writer = new TsWriter([VIDEO, AAC])
    const all = [...frames(40), ...audioPackets(60)].sort((a, b) => a.pts - b.pts)
    const packets = all.flatMap((packet) => split(writer.write(packet)))
    for (const wanted of [PAT, PMT, 0x100, 0x101]) {
      const counters = packets.filter(({ pid }) => pid === wanted).map(({ bytes }) => (bytes[3] as number) & 15)
      expect(counters).toEqual(counters.map((_, i) => i % 16))
    }
  })

  test('carry frames of every size, with stuffing at the end', () => {
    const writer = new TsWriter([VIDEO])
    const reader = new TsReader()
    const sent = Array.from({ length: 420 }, (_, i) => frame(true, 60 + i))
    const read = sent.flatMap((data, i) => reader.push(writer.write({ track: VIDEO, data, pts: i * 3000, key: true })))
    read.push(...reader.flush())
    expect(read.map(({ data }) => data)).toEqual(sent)
    expect(reader.lost).toBe(0)
  })

  test('mark keyframes and carry a monotonic PCR ahead of the frames', () => {
    const writer = new TsWriter([VIDEO])
    // Decoding order with two B-frames between P-frames.
    const order = [0, 3, 1, 2, 6, 4, 5].map((pts, i) => ({ pts: 9000 + pts * 3000, dts: i * 3000 }))
    const clocks: number[] = []
    for (const [i, { pts, dts }] of order.entries()) {
      const packets = split(writer.write({ track: VIDEO, data: frame(i === 0, 400), pts, dts, key: i === 0 }))
      const first = packets.find(({ pid }) => pid === 0x100)?.bytes as Uint8Array
      expect(((first[5] as number) & 0x40) !== 0).toBe(i === 0)
      clocks.push(clockOf(first) as number)
    }
    const turn = 2 ** 33
    expect(clocks).toEqual(order.map(({ dts }) => (dts - 9000 + turn) % turn))
  })

  test('signal a discontinuity when the clock restarts', () => {
    const writer = new TsWriter([VIDEO])
    const flags = [90_000, 93_000, 9_000_000, 9_003_000, 0].map((pts) => {
      const packets = split(writer.write({ track: VIDEO, data: frame(false, 300), pts, key: false }))
      return ((packets.find(({ pid }) => pid === 0x100)?.bytes[5] ?? 0) & 0x80) !== 0
    })
    expect(flags).toEqual([false, false, true, false, true])
  })

  test('carry the PCR on audio until there is video', () => {
    const writer = new TsWriter()
    const clocks = (packet: EncodedPacket) =>
      split(writer.write(packet)).filter(({ bytes }) => clockOf(bytes) !== undefined)
    const [first, second, third, fourth] = audioPackets(4) as [
      EncodedPacket,
      EncodedPacket,
      EncodedPacket,
      EncodedPacket,
    ]
    expect(clocks(first).map(({ pid }) => pid)).toEqual([0x101])
    expect(clocks(second)).toEqual([])
    expect(clocks(third).length).toBe(1)
    const [shown] = frames(1) as [EncodedPacket]
    expect(clocks({ ...shown, pts: fourth.pts + 9000 }).map(({ pid }) => pid)).toEqual([0x100])
    expect(clocks({ ...fourth, pts: fourth.pts + 90_000 })).toEqual([])
  })
})

test('a frame without an access unit delimiter gets one', () => {
  const writer = new TsWriter([VIDEO])
  const bare = joinNalUnits([slice(1, 50)])
  const reader = new TsReader()
  reader.push(writer.write({ track: VIDEO, data: frame(true, 300), pts: 0, key: true }))
  reader.push(writer.write({ track: VIDEO, data: bare, pts: 3000, key: false }))
  const read = reader.push(writer.write({ track: VIDEO, data: bare, pts: 6000, key: false }))
  expect(read[0]?.data).toEqual(joinNalUnits([AUD, slice(1, 50)]))
})

test.each([0, 1, 2 ** 30 - 1, 2 ** 30, 2 ** 32 + 12_345, 2 ** 33 - 1])('the timestamp %d', (ticks) => {
  const header = pesHeader(0xe0, 10, ticks, ticks === 0 ? 2 ** 33 - 3000 : ticks - 1)
  expect(parsePesHeader(header)).toMatchObject({ pts: ticks, dts: ticks === 0 ? 2 ** 33 - 3000 : ticks - 1 })
  expect(parsePesHeader(pesHeader(0xe0, 10, ticks + 2 ** 33, ticks + 2 ** 33))).toEqual({
    streamId: 0xe0,
    bytes: 14,
    payloadBytes: 10,
    scrambled: false,
    pts: ticks,
  })
})

test('Opus packets of every duration and kind read back unchanged', () => {
  const writer = new TsWriter([OPUS])
  const reader = new TsReader()
  const roll = dice(5)
  const sent: Uint8Array[] = []
  const read: EncodedPacket[] = []
  for (const length of [1, 2, 3, 100, 253, 254, 255, 256, 509, 510, 511, 1275]) {
    const data = Uint8Array.from({ length }, () => roll(256))
    data[0] = (roll(32) << 3) | roll(2)
    sent.push(data)
    read.push(...reader.push(writer.write({ track: OPUS, data, pts: sent.length * 1800, key: true })))
  }
  read.push(...reader.flush())
  expect(read.map(({ data }) => data)).toEqual(sent)
  expect(read.map(({ pts }) => pts)).toEqual(sent.map((_, i) => (i + 1) * 1800))
  expect(read[0]?.track).toEqual(OPUS)
})

describe('refusals', () => {
  test('of codecs a transport stream cannot carry', () => {
    const vp8: Track = { id: 'video', kind: 'video', codec: 'vp8' }
    expect(() => new TsWriter([vp8])).toThrow(/does not carry vp8; accepted are h264/)
    expect(() => new TsWriter().write({ track: vp8, data: new Uint8Array(9), pts: 0, key: true })).toThrow(AppError)
  })

  test('of audio packets that are too long or empty', () => {
    const writer = new TsWriter()
    const data = new Uint8Array(70_000)
    expect(() => writer.write({ track: AAC, data, pts: 0, key: true })).toThrow(/70000 bytes/)
    expect(() => writer.write({ track: OPUS, data: new Uint8Array(0), pts: 0, key: true })).toThrow(AppError)
  })
})
