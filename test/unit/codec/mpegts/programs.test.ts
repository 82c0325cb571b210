import { describe, expect, test } from 'vitest'
import { PacketWriter } from '../../../../src/codec/mpegts/packet-writer.ts'
import { pesHeader } from '../../../../src/codec/mpegts/pes.ts'
import { buildPat, buildPmt, type PmtStream } from '../../../../src/codec/mpegts/psi.ts'
import { TsReader } from '../../../../src/codec/mpegts/reader.ts'
import { AppError } from '../../../../src/core/errors.ts'
import type { EncodedPacket } from '../../../../src/core/media/packet.ts'
import { adts, bytesOf, frame, unbounded } from './ts-samples.ts'

type Entry = { number: number; pmtPid: number; streams?: PmtStream[] }

const stream = (streamType: number, pid: number): PmtStream => ({ streamType, pid, descriptors: [] })
const H264 = 0x1b
const AAC = 0x0f

/** A stream of several programs, written packet by packet. */
class Mux {
  readonly #packets = new PacketWriter()
  readonly parts: Uint8Array[] = []

  tables(entries: Entry[], version = 0): this {
    const listed = entries.map(({ number: program, pmtPid }) => ({ program, pmtPid }))
    this.section(0, buildPat(listed, version))
    for (const { number, pmtPid, streams } of entries) {
      if (streams) this.section(pmtPid, buildPmt(number, version, { pcrPid: 0x100, descriptors: [], streams }))
    }
    return this
  }

  section(pid: number, section: Uint8Array): this {
    const out = this.#packets.begin(section.length)
    out.section(pid, section)
    this.parts.push(out.end().slice())
    return this
  }

  /** `count` frames from `start` on, at 30 per second; `first` is whether the first of them is a keyframe. */
  video(pid: number, count: number, { start = 0, gop = 10, first = true } = {}): this {
    for (let i = 0; i < count; i++) this.#pes(pid, [unbounded(start + 3000 * i), frame(first && i % gop === 0, 700)])
    return this
  }

  audio(pid: number, count: number, start = 0): this {
    for (let i = 0; i < count; i++) {
      const pts = start + 1920 * i
      this.#pes(pid, [pesHeader(0xc0, 100, pts, pts), adts(100)])
    }
    return this
  }

  #pes(pid: number, parts: Uint8Array[]): void {
    const out = this.#packets.begin(4000)
    out.pes(pid, bytesOf(...parts), {})
    this.parts.push(out.end().slice())
  }
}

function read(mux: Mux, options: { program?: number; end?: boolean } = {}) {
  const reader = new TsReader(options.program === undefined ? {} : { program: options.program })
  const packets = mux.parts.flatMap((part) => reader.push(part))
  if (options.end !== false) packets.push(...reader.flush())
  return { reader, packets }
}

const video = (packets: EncodedPacket[]) => packets.filter(({ track }) => track.kind === 'video')
const GOOD: Entry = { number: 2, pmtPid: 0x1001, streams: [stream(H264, 0x200), stream(AAC, 0x201)] }

describe('the first playable program is read', () => {
  test.each<[string, Entry]>([
    ['has no table', { number: 1, pmtPid: 0x1000 }],
    ['carries data only', { number: 1, pmtPid: 0x1000, streams: [stream(0x86, 0x100)] }],
    ['is an AC-3 radio', { number: 1, pmtPid: 0x1000, streams: [stream(0x81, 0x100)] }],
    ['is MPEG-2 video', { number: 1, pmtPid: 0x1000, streams: [stream(2, 0x100), stream(AAC, 0x101)] }],
    ['is a silent AAC radio', { number: 1, pmtPid: 0x1000, streams: [stream(AAC, 0x100)] }],
    ['is a silent H.264 program', { number: 1, pmtPid: 0x1000, streams: [stream(H264, 0x100)] }],
  ])('where the first one %s', (_, first) => {
    const mux = new Mux().tables([first, GOOD]).video(0x200, 45).audio(0x201, 60)
    const { reader, packets } = read(mux, { end: false })
    expect(reader.program).toEqual({ number: 2, video: 'h264', audio: 'aac' })
    expect(video(packets).length).toBeGreaterThan(10)
    expect(packets[0]?.key).toBe(true)
    expect(packets.some(({ track }) => track.kind === 'audio')).toBe(true)
    expect(reader.lost).toBe(0)
  })

  test('also when the other one starts earlier', () => {
    const both = [{ number: 1, pmtPid: 0x1000, streams: [stream(H264, 0x100)] }, GOOD]
    const mux = new Mux().tables(both).video(0x200, 10)
    mux.video(0x100, 5, { first: false }).video(0x200, 60, { start: 30_000 }).video(0x100, 30, { start: 60_000 })
    const { reader, packets } = read(mux)
    expect(reader.program?.number).toBe(1)
    expect(video(packets).length).toBe(30)
  })

  test('and one without a keyframe for long is skipped', () => {
    const both = [{ number: 1, pmtPid: 0x1000, streams: [stream(H264, 0x100)] }, GOOD]
    const mux = new Mux().tables(both)
    for (let second = 0; second < 7; second++) {
      mux.video(0x100, 30, { start: second * 90_000, first: false }).video(0x200, 30, { start: second * 90_000 })
    }
    const { reader, packets } = read(mux, { end: false })
    expect(reader.program?.number).toBe(2)
    // Its newest GOP was kept.
    expect(packets[0]?.pts).toBeGreaterThan(4 * 90_000)
  })

  test('with one PID for all PMTs', () => {
    const shared = [
      { number: 1, pmtPid: 0x1000, streams: [stream(2, 0x100)] },
      { ...GOOD, pmtPid: 0x1000 },
    ]
    const mux = new Mux()
    for (let i = 0; i < 6; i++) mux.tables(shared).video(0x200, 10, { start: i * 30_000 })
    const { reader, packets } = read(mux)
    expect(reader.program?.number).toBe(2)
    expect(video(packets).map(({ pts }) => pts)).toEqual(Array.from({ length: 60 }, (_, i) => i * 3000))
    expect(reader.lost).toBe(0)
  })

  test('also when its PMT has another number than the PAT', () => {
    const mux = new Mux()
    mux.section(0, buildPat([{ program: 7, pmtPid: 0x1000 }]))
    mux.section(0x1000, buildPmt(1, 0, { pcrPid: 0x100, descriptors: [], streams: [stream(H264, 0x100)] }))
    const { reader, packets } = read(mux.video(0x100, 20))
    expect(reader.program?.number).toBe(7)
    expect(packets.length).toBe(20)
  })

  test('and kept when another one becomes playable later', () => {
    const later = { number: 1, pmtPid: 0x1000, streams: [stream(H264, 0x100)] }
    const mux = new Mux().tables([GOOD]).video(0x200, 20).tables([later, GOOD], 1)
    mux.video(0x100, 20).video(0x200, 20, { start: 60_000 })
    const { reader, packets } = read(mux)
    expect(reader.program?.number).toBe(2)
    expect(packets.length).toBe(40)
  })

  test('and the next one when it has gone', () => {
    const next = { number: 3, pmtPid: 0x1002, streams: [stream(H264, 0x300)] }
    const mux = new Mux().tables([GOOD]).video(0x200, 20).tables([next], 1).video(0x300, 20, { start: 60_000 })
    const { reader, packets } = read(mux)
    expect(reader.program?.number).toBe(3)
    expect(packets.length).toBe(40)
  })

  test('when the PMT of one without video grows', () => {
    const radio = { number: 1, pmtPid: 0x1000, streams: [stream(AAC, 0x100)] }
    const mux = new Mux().tables([radio]).audio(0x100, 20).tables([radio, GOOD], 1).video(0x200, 20).audio(0x201, 20)
    const { reader, packets } = read(mux)
    expect(reader.program?.number).toBe(2)
    expect(video(packets).length).toBe(20)
  })
})

describe('a requested program', () => {
  const both: Entry[] = [{ number: 1, pmtPid: 0x1000, streams: [stream(H264, 0x100)] }, GOOD]
  const mux = () => new Mux().tables(both).video(0x100, 20).video(0x200, 30)

  test('is read, whichever it is', () => {
    expect(read(mux()).packets.length).toBe(20)
    expect(read(mux(), { program: 1 }).packets.length).toBe(20)
    expect(read(mux(), { program: 2 }).packets.length).toBe(30)
  })

  test('that does not exist is refused with the existing numbers', () => {
    const { reader, packets } = read(mux(), { program: 9 })
    expect(packets).toEqual([])
    expect(reader.refusal).toMatchObject({ code: 'invalid-request' })
    expect(reader.refusal?.message).toContain('no program 9; its programs are: 1, 2')
  })

  test('that is unplayable is refused though another one is playable', () => {
    const mpeg2 = { number: 1, pmtPid: 0x1000, streams: [stream(2, 0x100)] }
    expect(() => read(new Mux().tables([mpeg2, GOOD]), { program: 1 })).toThrow(/carries MPEG-2 video/)
  })
})

test('several unplayable programs are reported one by one', () => {
  const entries = [
    { number: 1, pmtPid: 0x1000, streams: [stream(2, 0x100)] },
    { number: 5, pmtPid: 0x1001, streams: [stream(0x33, 0x200)] },
  ]
  expect(() => read(new Mux().tables(entries).tables(entries))).toThrow(
    /program 1 carries MPEG-2 video.*; program 5 carries VVC/,
  )
  const listed = [entries[0]!, { number: 5, pmtPid: 0x1001 }]
  const { reader } = read(new Mux().tables(listed).tables(listed))
  expect(reader.refusal).toBeInstanceOf(AppError)
  expect(reader.refusal?.message).toContain('program 5 has no table of its streams (PMT)')
})
