import { describe, expect, test } from 'vitest'
import type { PmtStream } from '../../../../src/codec/mpegts/psi.ts'
import { TsReader } from '../../../../src/codec/mpegts/reader.ts'
import { AppError } from '../../../../src/core/errors.ts'
import {
  AAC_STREAM,
  byKind,
  bytesOf,
  dice,
  frame,
  H264_STREAM,
  HandMux,
  hex,
  pidOf,
  readAll,
  tsPackets,
  written,
} from './ts-samples.ts'

describe('damage', () => {
  test('a duplicate packet is read once', () => {
    const { bytes, packets } = written()
    const doubled = tsPackets(bytes).flatMap((packet) => (pidOf(packet) < 0x100 ? [packet] : [packet, packet]))
    const read = readAll(bytesOf(...doubled))
    expect(byKind(read.packets)).toEqual(byKind(packets))
    expect(read.reader.lost).toBe(0)
  })

  test('missing packets lose the frames they belong to, and are counted', () => {
    const { bytes, packets } = written()
    const parts = tsPackets(bytes)
    // Second packet of the twelfth frame.
    const starts = parts.flatMap((packet, i) => (pidOf(packet) === 0x100 && (packet[1] as number) & 0x40 ? [i] : []))
    parts.splice((starts[12] as number) + 1, 1)
    const { packets: read, reader } = readAll(bytesOf(...parts))
    const victim = packets.filter(({ track }) => track.kind === 'video')[12]
    expect(byKind(read)).toEqual(byKind(packets.filter((packet) => packet !== victim)))
    expect(reader.lost).toBe(2)
  })

  test('bytes between packets are skipped', () => {
    const { bytes, packets } = written()
    const noise = Uint8Array.from({ length: 1000 }, (_, i) => (i * 7) & 0xff)
    const at = 188 * 40
    const { packets: read, reader } = readAll(bytesOf(noise, bytes.subarray(0, at), noise, bytes.subarray(at)))
    expect(byKind(read)).toEqual(byKind(packets))
    expect(reader.lost).toBe(1)
  })

  test('a table with a wrong checksum is ignored', () => {
    const { bytes } = written(5)
    const parts = tsPackets(bytes)
    for (const part of parts) if (pidOf(part) === 0x1000) part[20] = (part[20] as number) ^ 1
    const { packets, reader } = readAll(bytesOf(...parts))
    expect(packets).toEqual([])
    expect(reader.program).toBeUndefined()
  })

  test('a frame beyond the size limit is dropped and counted, and the next one is read', () => {
    const mux = new HandMux()
    const reader = new TsReader({ maxUnitBytes: 5000 })
    const units = [frame(true, 1000), frame(false, 6000), frame(false, 1000), frame(false, 1000)]
    const read = reader.push(
      bytesOf(mux.tables(H264_STREAM), ...units.map((data, i) => mux.video(data, 3000 * i)), mux.tables(H264_STREAM)),
    )
    expect([...read, ...reader.flush()].map(({ pts }) => pts)).toEqual([0, 6000, 9000])
    expect(reader.lost).toBe(1)
  })

  test('consecutive streams are read without loss', () => {
    const parts = [1, 2, 3].map(() => written(10))
    const { packets, reader } = readAll(bytesOf(...parts.map(({ bytes }) => bytes)))
    expect(byKind(packets)).toEqual(byKind(parts.flatMap((part) => part.packets)))
    expect(reader.lost).toBe(0)
  })

  test('random damage throws nothing but AppError', () => {
    const { bytes, packets } = written(60)
    const roll = dice(11)
    for (let round = 0; round < 150; round++) {
      const damaged = bytes.slice(0, roll(bytes.length))
      for (let i = roll(60); i >= 0; i--) damaged[roll(damaged.length)] = roll(256)
      try {
        expect(readAll(damaged).packets.length).toBeLessThanOrEqual(packets.length * 2)
      } catch (thrown) {
        expect(thrown).toBeInstanceOf(AppError)
      }
    }
  })

  test('random bytes terminate, also as payload of valid packets', () => {
    const roll = dice(3)
    const streams: PmtStream[] = [0x1b, 0x24, 0x0f, 0x03].map((streamType) => ({
      streamType,
      pid: 0x100,
      descriptors: [],
    }))
    for (let round = 0; round < 60; round++) {
      const noise = Uint8Array.from({ length: 3000 }, () => (roll(2) ? roll(256) : roll(3) - 1))
      expect(readAll(noise).packets).toEqual([])
      const mux = new HandMux()
      const stream = streams[round % streams.length] as PmtStream
      const { packets } = readAll(bytesOf(mux.tables(stream), mux.video(noise, 0), mux.video(noise, 3000)))
      expect(packets.length).toBeLessThan(6000)
    }
  })
})

describe('refused', () => {
  const refusal = (bytes: Uint8Array): AppError => {
    let error: unknown
    try {
      error = readAll(bytes).reader.refusal
    } catch (thrown) {
      error = thrown
    }
    expect(error).toBeInstanceOf(AppError)
    return error as AppError
  }

  const registered = (name: string) => [{ tag: 5, data: new TextEncoder().encode(name) }]

  test.each<[string, PmtStream[], string]>([
    [
      'MPEG-2 video',
      [{ streamType: 2, pid: 0x100, descriptors: [] }],
      'carries MPEG-2 video (stream type 0x02); accepted',
    ],
    ['DTS alone', [{ streamType: 0x82, pid: 0x101, descriptors: [] }], 'carries DTS (stream type 0x82) but no video'],
    ['AV1', [{ streamType: 6, pid: 0x100, descriptors: registered('AV01') }], 'carries AV1'],
    [
      'subtitles alone',
      [{ streamType: 6, pid: 0x100, descriptors: [{ tag: 0x59, data: hex('00') }] }],
      'neither video',
    ],
  ])('%s', (_, streams, message) => {
    const error = refusal(bytesOf(new HandMux().tables(...streams), new HandMux().tables(...streams)))
    expect(error.code).toBe('unsupported-media')
    expect(error.message).toContain(message)
    expect(error.message).toContain('H.264 or HEVC')
  })

  test('an unreadable stream next to a readable one is ignored', () => {
    const ac3 = { streamType: 0x81, pid: 0x102, descriptors: [] }
    const bytes = bytesOf(new HandMux().tables(ac3, H264_STREAM, AAC_STREAM), new HandMux().tables(H264_STREAM))
    const { reader } = readAll(bytes.subarray(0, 188 * 2))
    reader.push(bytes)
    expect(reader.program).toMatchObject({ video: 'h264' })
  })

  test('scrambled packets', () => {
    expect(refusal(scrambledPackets(0x100)).message).toContain('scrambled')
  })

  test('scrambled PES packets of video', () => {
    expect(refusal(scrambledPes(0x100)).message).toContain('scrambled')
  })

  test.each([
    ['of a codec that is not read', () => bytesOf(...videoBeside({ streamType: 0x82, pid: 0x101, descriptors: [] }))],
    ['in scrambled PES packets', () => scrambledPes(0x101)],
    ['in scrambled packets', () => scrambledPackets(0x101)],
  ])('audio %s is reported and leaves the video alone', (_, bytes) => {
    const { packets, reader } = readAll(bytes())
    expect(packets.filter(({ track }) => track.kind === 'video').length).toBe(5)
    expect(packets.filter(({ track }) => track.kind === 'audio')).toEqual([])
    expect(reader.missing('audio')).toMatch(/scrambled|DTS/)
  })

  function videoBeside(stream: PmtStream): Uint8Array[] {
    const mux = new HandMux()
    const units = Array.from({ length: 5 }, (_, i) => mux.video(frame(i === 0, 700), 3000 * i))
    return [mux.tables(H264_STREAM, stream), ...units]
  }

  function scrambledPackets(pid: number): Uint8Array {
    const parts = tsPackets(written(5).bytes)
    for (const part of parts) if (pidOf(part) === pid) part[3] = (part[3] as number) | 0x80
    return bytesOf(...parts)
  }

  function scrambledPes(pid: number): Uint8Array {
    const parts = tsPackets(written(5).bytes)
    for (const part of parts) {
      const payload = 4 + ((part[3] as number) & 0x20 ? 1 + (part[4] as number) : 0)
      if (pidOf(part) === pid && (part[1] as number) & 0x40) part[payload + 6] = 0xa0
    }
    return bytesOf(...parts)
  }
})
