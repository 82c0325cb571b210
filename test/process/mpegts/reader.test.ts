import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { TsReader } from '../../../src/codec/mpegts/reader.ts'
import type { EncodedPacket } from '../../../src/core/media/packet.ts'
import { ffmpegPath } from '../../helpers/binaries.ts'
import { type ClipOptions, makeNumberedClip } from '../../helpers/media/clip.ts'
import { probePackets } from '../../helpers/media/probe-ts.ts'
import { runTool } from '../../helpers/run-tool.ts'

const TURN = 2 ** 33
const SIZE = { width: 320, height: 240, fps: 30, seconds: 3, kbps: 600, gop: 30 }

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ts-reader-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

async function clip(name: string, options: Partial<ClipOptions> = {}, remux?: string[]): Promise<Buffer> {
  const made = join(folder, `${name}.ts`)
  await makeNumberedClip({ ...SIZE, ...options, file: made })
  if (!remux) return readFile(made)
  const file = join(folder, `${name}.remux.ts`)
  await runTool(ffmpegPath(), ['-v', 'error', '-y', '-copyts', '-i', made, '-c', 'copy', ...remux, file])
  return readFile(file)
}

/** Reads in chunks of the given sizes, repeated. */
function read(bytes: Uint8Array, sizes: number[] = [1316]): { packets: EncodedPacket[]; reader: TsReader } {
  const reader = new TsReader()
  const packets: EncodedPacket[] = []
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = sizes[i % sizes.length] as number
    packets.push(...reader.push(bytes.subarray(at, at + size)))
    at += size
  }
  packets.push(...reader.flush())
  return { packets, reader }
}

const wrapped = (ticks: number) => ((ticks % TURN) + TURN) % TURN

/** Compares every packet with the output of ffprobe. */
async function expectAsProbed(bytes: Uint8Array, packets: EncodedPacket[]): Promise<void> {
  for (const stream of await probePackets(bytes)) {
    const ours = packets.filter(({ track }) => track.kind === stream.kind)
    const size = stream.kind === 'video' ? { width: stream.width, height: stream.height } : {}
    expect(ours[0]?.track).toMatchObject({ codec: stream.codec, ...size })
    const told = ours.map(({ pts, dts, key }) => ({ pts: wrapped(pts), dts: wrapped(dts ?? pts), key }))
    const probed = stream.packets.map(({ pts, dts, key }) => ({ pts: wrapped(pts), dts: wrapped(dts), key }))
    expect(told).toEqual(probed)
    // ffprobe assigns the zero of a four-byte start code to the preceding HEVC frame.
    const slack = stream.codec === 'hevc' ? 1 : 0
    const wrong = stream.packets.filter(({ size }, i) => Math.abs(size - (ours[i]?.data.length ?? 0)) > slack)
    expect(wrong).toEqual([])
  }
}

describe('timestamps and sizes match those of ffprobe', () => {
  const cases: [string, Partial<ClipOptions>, string[]?][] = [
    ['H.264 and AAC', { audio: true }],
    ['B-frames', { audio: true, bframes: 3 }],
    ['irregular frame times', { audio: true, vfr: true }],
    ['HEVC', { audio: true, codec: 'hevc', bframes: 2 }],
    ['Opus', { audio: true, audioCodec: 'libopus' }],
    ['MP3', { audio: true, audioCodec: 'mp3' }],
    ['video alone', {}],
    ['audio alone', { audio: true }, ['-vn']],
    ['told PES lengths', { audio: true }, ['-omit_video_pes_length', '0']],
    ['a constant rate with null packets', { audio: true }, ['-muxrate', '3M']],
    ['a wrap of the clock', { audio: true, bframes: 2 }, ['-output_ts_offset', '95440.8']],
    ['other pids', { audio: true }, ['-mpegts_start_pid', '0x400', '-mpegts_pmt_start_pid', '0x30']],
  ]
  test.each(cases)('%s', async (name, options, remux) => {
    const bytes = await clip(name.replaceAll(/\W/g, '-'), options, remux)
    const { packets, reader } = read(bytes)
    expect(reader.lost).toBe(0)
    await expectAsProbed(bytes, packets)
  })
})

test('video and audio stay in sync across the timestamp wrap', async () => {
  const bytes = await clip('wrap', { audio: true, bframes: 2 }, ['-output_ts_offset', '95440.8'])
  const { packets } = read(bytes)
  const times = packets.map(({ pts }) => pts)
  expect(Math.max(...times) - Math.min(...times)).toBeLessThan(4 * 90_000)
  expect(Math.max(...times)).toBeGreaterThan(TURN)
  for (const kind of ['video', 'audio']) {
    const dts = packets.filter(({ track }) => track.kind === kind).map((packet) => packet.dts ?? packet.pts)
    expect(dts).toEqual(dts.toSorted((a, b) => a - b))
  }
})

test('chunk sizes make no difference', async () => {
  const bytes = await clip('cut', { audio: true, bframes: 2, seconds: 1 })
  const whole = read(bytes, [bytes.length]).packets
  expect(whole.length).toBeGreaterThan(60)
  expect(read(bytes, [1]).packets).toEqual(whole)
  expect(read(bytes, [187]).packets).toEqual(whole)
  expect(read(bytes, [3, 1500, 1, 188, 9000, 77, 376]).packets).toEqual(whole)
})

test.each([
  ['stuffing', []],
  ['PES lengths', ['-omit_video_pes_length', '0']],
])('a frame is delivered with its last byte, by %s', async (name, remux) => {
  const bytes = await clip(`early-${name.replace(' ', '-')}`, {}, remux)
  const reader = new TsReader()
  // Packets that start a frame: how many frames were delivered before each, and whether the previous one ended in
  // stuffing.
  const before: { out: number; stuffed: boolean }[] = []
  let out = 0
  let stuffed = false
  for (let at = 0; at < bytes.length; at += 188) {
    const packet = bytes.subarray(at, at + 188)
    if ((packet.readUInt16BE(1) & 0x1fff) === 0x100) {
      if (packet.readUInt8(1) & 0x40) before.push({ out, stuffed })
      stuffed = (packet.readUInt8(3) & 0x20) !== 0
    }
    out += reader.push(packet).length
  }
  out += reader.flush().length
  expect(out).toBe(90)
  // The first few wait until stuffing has proved reliable; a frame that fills its last packet exactly ends with the
  // next one.
  const late = before.slice(4).filter(({ out }, i) => out < i + 4)
  expect(late.filter(({ stuffed }) => stuffed || name === 'PES lengths')).toEqual([])
  expect(late.length).toBeLessThan(10)
})

test('segments of several multiplexers read as one stream', async () => {
  const whole = await clip('segments', { audio: true })
  const pattern = join(folder, 'segment-%d.ts')
  const input = join(folder, 'segments.ts')
  const args = ['-v', 'error', '-y', '-copyts', '-i', input, '-c', 'copy', '-f', 'segment', '-segment_time', '1']
  await runTool(ffmpegPath(), [...args, '-segment_format', 'mpegts', '-muxdelay', '0', '-muxpreload', '0', pattern])
  const parts = await Promise.all([0, 1, 2].map((i) => readFile(pattern.replace('%d', String(i)))))
  const { packets, reader } = read(Buffer.concat(parts))
  expect(reader.lost).toBe(0)
  const sizes = (list: EncodedPacket[]) =>
    list.filter(({ track }) => track.kind === 'video').map(({ data }) => data.length)
  expect(sizes(packets)).toEqual(sizes(read(whole).packets))
})

test('a truncated stream loses its last frame, counted', async () => {
  const bytes = await clip('truncated', {})
  const whole = read(bytes).packets
  // In the middle of the sixtieth frame, between two transport packets and inside one.
  const starts = []
  for (let at = 0; at < bytes.length; at += 188) {
    if ((bytes.readUInt16BE(at + 1) & 0x5fff) === 0x4100) starts.push(at)
  }
  for (const extra of [188 * 3, 188 * 3 + 50]) {
    const { packets, reader } = read(bytes.subarray(0, (starts[60] as number) + extra))
    expect(packets).toEqual(whole.slice(0, 60))
    expect(reader.lost).toBe(1)
  }
})

describe('encoder output', () => {
  const x264 = (params: string) => ['-c:v', 'libx264', '-x264-params', params]
  test.each([
    ['slices', x264('slices=4:bframes=2')],
    ['open groups of frames', x264('open-gop=1:keyint=15:bframes=3')],
    ['intra refresh', x264('intra-refresh=1:keyint=15')],
    ['intra frames alone', x264('keyint=1')],
    ['fields', ['-vf', 'interlace', ...x264('interlaced=1')]],
    ['no delimiters', [...x264('bframes=2'), '-bsf:v', 'h264_metadata=aud=remove']],
    ['MPEG audio at half the rate', [...x264('keyint=15'), '-c:a', 'libmp3lame', '-ar', '24000']],
    ['AC-3', [...x264('keyint=15'), '-c:a', 'ac3', '-ac', '2']],
    ['AC-3 at 44.1 kHz with six channels', [...x264('keyint=15'), '-c:a', 'ac3', '-ar', '44100', '-ac', '6']],
    ['E-AC-3', [...x264('keyint=15'), '-c:a', 'eac3', '-ac', '6']],
    ['AAC in LATM', [...x264('keyint=15'), '-mpegts_flags', 'latm']],
    ['AAC in LATM, mono at 24 kHz', [...x264('keyint=15'), '-mpegts_flags', 'latm', '-ar', '24000', '-ac', '1']],
    ['six channels', [...x264('keyint=15'), '-c:a', 'libopus', '-ac', '6']],
    ['short Opus packets', [...x264('keyint=15'), '-c:a', 'libopus', '-frame_duration', '2.5']],
  ])('%s', async (name, args) => {
    const file = join(folder, `${name.replaceAll(' ', '-')}.ts`)
    const video = ['-f', 'lavfi', '-i', 'testsrc2=s=320x240:r=30:d=2']
    const audio = ['-f', 'lavfi', '-i', 'sine=440:d=2:r=48000']
    await runTool(ffmpegPath(), ['-v', 'error', '-y', ...video, ...audio, '-c:a', 'aac', ...args, file])
    const bytes = await readFile(file)
    const { packets, reader } = read(bytes)
    expect(reader.lost).toBe(0)
    await expectAsProbed(bytes, packets)
  })

  test('layer II, which MP3 decoders read too', async () => {
    const file = join(folder, 'layer2.ts')
    await runTool(ffmpegPath(), ['-v', 'error', '-y', '-f', 'lavfi', '-i', 'sine=440:d=1:r=48000', '-c:a', 'mp2', file])
    const bytes = await readFile(file)
    const { packets } = read(bytes)
    expect(packets[0]?.track).toEqual({ id: 'audio', kind: 'audio', codec: 'mp3', sampleRate: 48_000, channels: 1 })
    const [stream] = await probePackets(bytes)
    expect(packets.map(({ pts, data }) => [pts, data.length])).toEqual(
      stream?.packets.map(({ pts, size }) => [pts, size]),
    )
  })
})
