import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { TsReader } from '../../../src/codec/mpegts/reader.ts'
import type { EncodedPacket } from '../../../src/core/media/packet.ts'
import { tsSegments, tsStream } from '../../../src/mpegts/sink.ts'
import { ffmpegPath, ffprobePath } from '../../helpers/binaries.ts'
import { type ClipOptions, makeNumberedClip } from '../../helpers/media/clip.ts'
import { decodeNumbers, probePackets } from '../../helpers/media/probe-ts.ts'

const run = promisify(execFile)
const SIZE = { width: 320, height: 240, fps: 30, seconds: 3, kbps: 600, gop: 30 }
const TURN = 2 ** 33

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ts-sink-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

async function packetsOf(name: string, options: Partial<ClipOptions> = {}): Promise<EncodedPacket[]> {
  const file = join(folder, `${name}.ts`)
  await makeNumberedClip({ ...SIZE, ...options, file })
  return readAll(await readFile(file))
}

function readAll(bytes: Uint8Array): EncodedPacket[] {
  const reader = new TsReader()
  const packets = [...reader.push(bytes), ...reader.flush()]
  expect(reader.lost).toBe(0)
  return packets
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = []
  for await (const item of items) list.push(item)
  return list
}

async function* each<T>(items: T[]): AsyncGenerator<T> {
  yield* items
}

/** Messages of ffprobe and of a full decode. */
async function complaints(bytes: Uint8Array): Promise<string> {
  const file = join(folder, 'written.ts')
  await writeFile(file, bytes)
  const probe = await run(ffprobePath(), ['-v', 'warning', '-show_packets', '-show_streams', file], {
    maxBuffer: 2 ** 28,
  })
  const decode = await run(ffmpegPath(), ['-v', 'warning', '-i', file, '-f', 'null', '-'])
  return probe.stderr + decode.stderr
}

/** In order per kind: the interleaving may differ. */
function byKind(packets: EncodedPacket[]): EncodedPacket[] {
  return packets.toSorted((a, b) => a.track.kind.localeCompare(b.track.kind))
}

const CASES: [string, Partial<ClipOptions>][] = [
  ['H.264 and AAC', { audio: true }],
  ['H.264 with B-frames and Opus', { audio: true, bframes: 3, audioCodec: 'libopus' }],
  ['H.264 at irregular times and MP3', { audio: true, vfr: true, audioCodec: 'mp3' }],
  ['HEVC alone', { codec: 'hevc', bframes: 2 }],
  ['high rate', { audio: true, kbps: 12_000, width: 640, height: 480 }],
]

test.each(CASES)('written streams read back unchanged: %s', async (name, options) => {
  const packets = await packetsOf(name.replaceAll(/\W/g, '-'), options)
  const bytes = Buffer.concat(await all(tsStream(each(packets))))
  expect(await complaints(bytes)).toBe('')
  // Audio before the first keyframe is left out.
  const first = packets.findIndex(({ track }) => track.kind === 'video')
  const sent = byKind(packets.slice(first))
  expect(byKind(readAll(bytes))).toEqual(sent)
  for (const stream of await probePackets(bytes)) {
    const ours = sent.filter(({ track }) => track.kind === stream.kind)
    expect(stream.packets.map(({ pts, dts }) => [pts, dts])).toEqual(ours.map(({ pts, dts }) => [pts, dts ?? pts]))
  }
})

test('audio only', async () => {
  const packets = (await packetsOf('audio', { audio: true, audioCodec: 'libopus', seconds: 5 })).filter(
    ({ track }) => track.kind === 'audio',
  )
  const chunks = await all(tsSegments(each(packets), { minSegmentMs: 1000, audioAlone: true }))
  const bytes = Buffer.concat(chunks.map((chunk) => chunk.bytes))
  expect(await complaints(bytes)).toBe('')
  // It waits two seconds for video.
  expect(readAll(bytes)).toEqual(packets.slice(100))
  expect(chunks.filter(({ startsSegment }) => startsSegment).length).toBe(4)
})

test('timestamps beyond 33 bits wrap to zero', async () => {
  const shift = TURN - 400_000
  const packets = (await packetsOf('shift', { audio: true, bframes: 2 })).map((packet) => ({
    ...packet,
    pts: packet.pts + shift,
    ...(packet.dts !== undefined && { dts: packet.dts + shift }),
  }))
  const bytes = Buffer.concat(await all(tsStream(each(packets))))
  expect(await complaints(bytes)).toBe('')
  const back = readAll(bytes)
  expect(Math.max(...back.map(({ pts }) => pts))).toBe(Math.max(...packets.map(({ pts }) => pts)))
})

test('each segment is decodable alone, and all of them together are the stream', async () => {
  const packets = await packetsOf('segments', { audio: true, bframes: 2, gop: 15, seconds: 4 })
  const chunks = await all(tsSegments(each(packets), { minSegmentMs: 1000 }))
  const segments: Uint8Array[][] = []
  for (const { bytes, startsSegment } of chunks) {
    if (startsSegment) segments.push([])
    segments.at(-1)?.push(bytes)
  }
  expect(segments.length).toBe(4)
  const numbers: (number | undefined)[] = []
  for (const segment of segments) {
    const bytes = Buffer.concat(segment)
    expect(await complaints(bytes)).toBe('')
    const back = readAll(bytes)
    expect(back[0]).toMatchObject({ key: true, track: { kind: 'video' } })
    expect(back.filter(({ track }) => track.kind === 'audio').length).toBeGreaterThan(40)
    numbers.push(...(await decodeNumbers(bytes)).map(({ number }) => number))
  }
  expect(numbers).toEqual(Array.from({ length: 120 }, (_, i) => i))
  const whole = Buffer.concat(chunks.map(({ bytes }) => bytes))
  expect(await complaints(whole)).toBe('')
  expect((await decodeNumbers(whole)).map(({ number }) => number)).toEqual(numbers)
})
