import { describe, test } from 'vitest'
import { joinNalUnits } from '../../../../src/codec/annexb.ts'
import { PacketWriter } from '../../../../src/codec/mpegts/packet-writer.ts'
import { pesHeader } from '../../../../src/codec/mpegts/pes.ts'
import { buildPat, buildPmt, type PmtStream } from '../../../../src/codec/mpegts/psi.ts'
import { TsReader } from '../../../../src/codec/mpegts/reader.ts'
import { Opening } from '../../../../src/mpegts/opening.ts'
import { expectLinear, type Made } from '../../../helpers/growth.ts'
import {
  AUD,
  adts,
  bytesOf,
  dice,
  frames,
  H264_STREAM,
  HandMux,
  hex,
  PPS,
  SPS_640x360,
  slice,
  unbounded,
} from './ts-samples.ts'

/** In chunks, like an HTTP body. */
const CHUNK = 65_536

function read(input: Uint8Array): Made {
  const reader = new TsReader()
  const made = { bytes: 0, pieces: 0 }
  for (let at = 0; at < input.length; at += CHUNK) {
    for (const { data } of reader.push(input.subarray(at, at + CHUNK))) {
      made.bytes += data.length
      made.pieces++
    }
  }
  for (const { data } of reader.flush()) {
    made.bytes += data.length
    made.pieces++
  }
  return made
}

/** `part(0)`, `part(1)` and so on, up to that many bytes. */
function filled(bytes: number, part: (index: number) => Uint8Array): Uint8Array {
  const parts: Uint8Array[] = []
  for (let length = 0; length < bytes; ) {
    const next = part(parts.length)
    parts.push(next)
    length += next.length
  }
  return new Uint8Array(Buffer.concat(parts))
}

const stream = (streamType: number, pid: number): PmtStream => ({ streamType, pid, descriptors: [] })

/** Tables and one video PES packet of the requested length. */
const inVideo =
  (part: (index: number) => Uint8Array, first: Uint8Array = new Uint8Array(0)) =>
  (bytes: number) => {
    const mux = new HandMux()
    const tables = mux.tables(H264_STREAM)
    return bytesOf(tables, mux.video(bytesOf(first, filled(bytes, part)), 0), mux.tables(H264_STREAM))
  }

/** Audio PES packets of `pesBytes` each. */
const inAudio =
  (type: number, part: (index: number) => Uint8Array, pesBytes = 60_000) =>
  (bytes: number) => {
    const mux = new HandMux()
    // At least one transport packet for each.
    const all = filled(Math.min(bytes, (bytes * pesBytes) / 188), part).subarray(
      0,
      Math.min(bytes, (bytes * pesBytes) / 188),
    )
    const parts = [mux.tables(stream(type, 0x101))]
    for (let at = 0; at < all.length; at += pesBytes) {
      const payload = all.subarray(at, at + pesBytes)
      parts.push(mux.pes(0x101, bytesOf(pesHeader(0xc0, payload.length, at, at), payload)))
    }
    return new Uint8Array(Buffer.concat(parts))
  }

/** The results of `sections`, concatenated. */
const inTables = (sections: (index: number) => [number, Uint8Array][]) => (bytes: number) => {
  const packets = new PacketWriter()
  return filled(bytes, (index) => {
    const out = packets.begin(2048)
    for (const [pid, section] of sections(index)) out.section(pid, section)
    return out.end().slice()
  })
}

const programs = (count: number, first: number) =>
  Array.from({ length: count }, (_, i) => ({ program: first + i, pmtPid: 0x1000 + first + i }))
const pmt = (number: number, streams: PmtStream[]) => buildPmt(number, 0, { pcrPid: 0x100, descriptors: [], streams })
const roll = dice(5)

describe('twice the bytes take twice the time and memory', () => {
  test.each<[string, (bytes: number) => Uint8Array]>([
    ['noise', (bytes) => Uint8Array.from({ length: bytes }, () => roll(256))],
    ['sync bytes and nothing else', (bytes) => new Uint8Array(bytes).fill(0x47)],
    ['two sync bytes in step and a third that is none', (bytes) => filled(bytes, () => twoInStep())],
    ['tables of other programs each time', inTables((i) => [[0, buildPat(programs(40, 1 + (i % 2) * 40), i % 2)]])],
    [
      'a program whose streams change each time',
      inTables((i) => [
        [0, buildPat(programs(1, 1))],
        [0x1001, pmt(1, [stream(0x1b, 0x100 + (i % 64)), stream(0x0f, 0x200 + (i % 64))])],
      ]),
    ],
    [
      'sixty programs whose streams change each time',
      inTables((i) => [
        ...(i % 60 === 0 ? ([[0, buildPat(programs(60, 1))]] as [number, Uint8Array][]) : []),
        [0x1001 + (i % 60), pmt(1 + (i % 60), [stream(0x1b, 0x100 + (i % 61)), stream(0x0f, 0x500)])],
      ]),
    ],
    ['pictures of one slice', inVideo(() => joinNalUnits([slice(5, 3)]), joinNalUnits([AUD, SPS_640x360, PPS]))],
    ['pictures of one slice after padded parameter sets', inVideo(() => joinNalUnits([slice(5, 3)]), padded())],
    ['parameter sets and nothing else', inVideo((i) => joinNalUnits([Uint8Array.of(0x68, 0x80 >> (i % 8), i & 0xff)]))],
    ['delimiters and nothing else', inVideo(() => joinNalUnits([AUD]), joinNalUnits([SPS_640x360, PPS, slice(5, 9)]))],
    ['start codes and nothing else', inVideo(() => hex('000001'))],
    ['the shortest frames of AAC', inAudio(0x0f, () => adts(7))],
    ['audio that is none', inAudio(0x0f, () => hex('fff1'))],
    ['audio frames that do not end, byte by byte', inAudio(0x0f, () => adts(8191).slice(0, 8000), 1)],
    ['MPEG audio that is none', inAudio(0x03, () => hex('fffbff'))],
    ['AC-3 with substreams', inAudio(0x87, (i) => (i % 2 ? hex('0b7740033487c000') : hex('0b7700033487c000')))],
    ['LATM that changes its configuration', inAudio(0x11, (i) => latm(i))],
    ['LATM that is none', inAudio(0x11, () => hex('56ffff'))],
  ])('%s', (_, make) => expectLinear(make, read))

  test('several programs that start late', () => {
    const make = (bytes: number) => {
      const packets = new PacketWriter()
      const listed = programs(8, 1)
      const out = packets.begin(4096)
      out.section(0, buildPat(listed))
      for (const { program, pmtPid } of listed)
        out.section(pmtPid, pmt(program, [stream(0x1b, 0x100 + program), stream(0x0f, 0x200)]))
      const tables = out.end().slice()
      return bytesOf(
        tables,
        filled(bytes, (i) => {
          const next = packets.begin(4096)
          next.pes(
            0x200,
            bytesOf(pesHeader(0xc0, 70, i * 1920, i * 1920), ...Array.from({ length: 10 }, () => adts(7))),
            {},
          )
          next.pes(0x101 + (i % 7), bytesOf(unbounded(i * 300), slice(1, 30)), {})
          return next.end().slice()
        }),
      )
    }
    expectLinear(make, read)
  })

  test('opening while waiting for audio', () => {
    const run = (input: Uint8Array): Made => {
      const opening = new Opening()
      const [packet] = frames(1)
      const data = input.subarray(0, 10)
      for (let i = 0; i < input.length; i += 10)
        opening.add({ ...packet!, data }, { number: 1, video: 'h264', audio: 'aac' })
      return { bytes: 0, pieces: opening.packets.length }
    }
    expectLinear((bytes) => new Uint8Array(bytes), run)
  })
})

function twoInStep(): Uint8Array {
  const bytes = new Uint8Array(377)
  bytes[0] = bytes[188] = 0x47
  return bytes
}

/** 256 parameter sets of 60 bytes. */
function padded(): Uint8Array {
  const sets = Array.from({ length: 256 }, (_, i) => {
    const nal = new Uint8Array(60).fill(0x11)
    // pic_parameter_set_id as ue(v): i + 1 in binary, preceded by as many zeros as it has bits after the first.
    const code = (i + 1).toString(2)
    const bits = ('0'.repeat(code.length - 1) + code).padEnd(24, '1')
    nal.set([0x68, ...[0, 8, 16].map((at) => Number.parseInt(bits.slice(at, at + 8), 2))])
    return nal
  })
  return joinNalUnits([AUD, SPS_640x360, ...sets])
}

function latm(index: number): Uint8Array {
  const bytes = new Uint8Array(19)
  bytes.set(hex(index % 2 ? '56e010200011901fe7f9' : '56e010200013881fe7ff'))
  return bytes
}
