import { beforeAll, expect, test } from 'vitest'
import { sourceForm } from '../../../src/codec/source-form.ts'
import type { VideoFrame } from '../../../src/core/media/frame.ts'
import type { EncodedPacket, VideoTrack } from '../../../src/core/media/packet.ts'
import type { Ffmpeg } from '../../../src/ffmpeg/binary.ts'
import { openVideoDecoder } from '../../../src/ffmpeg/decoder/decoder.ts'
import { bytesOf, H264_STREAM, HandMux, readAll } from '../../unit/codec/mpegts/ts-samples.ts'
import { numbered, numberOf, quiet, range, testFfmpeg } from './clips.ts'
import { fieldPair } from './field-pairs.ts'

const [WIDTH, HEIGHT, FRAMES] = [288, 160, 12]
const FIELD_TICKS = 1800

let ffmpeg: Ffmpeg
beforeAll(async () => {
  ffmpeg = await testFfmpeg()
})

const pairs = () => range(FRAMES).map((i) => fieldPair(numbered(i, 0, WIDTH, HEIGHT).data, WIDTH, HEIGHT))

/** A transport stream with this video, as packets. */
function packetsOf(units: { data: Uint8Array; pts: number }[]): EncodedPacket<VideoTrack>[] {
  const mux = new HandMux()
  const { packets } = readAll(bytesOf(mux.tables(H264_STREAM), ...units.map(({ data, pts }) => mux.video(data, pts))))
  return packets as EncodedPacket<VideoTrack>[]
}

test.each([
  [
    'both fields in one PES packet',
    (fields: [Uint8Array, Uint8Array][]) =>
      fields.map((pair, i) => ({ data: bytesOf(...pair), pts: 2 * FIELD_TICKS * (i + 1) })),
  ],
  [
    'a PES packet for each field',
    (fields: [Uint8Array, Uint8Array][]) => fields.flat().map((data, i) => ({ data, pts: FIELD_TICKS * (i + 2) })),
  ],
])('H.264 in field pairs, %s, is deinterlaced, one output per frame', async (_, units) => {
  const packets = packetsOf(units(pairs()))
  const source = sourceForm('h264', packets[0]!.data)
  expect(source).toMatchObject({ interlaced: true })
  const { track } = packets[0]!
  expect(track).toMatchObject({ width: WIDTH, height: HEIGHT })
  const seen: VideoFrame[] = []
  const onFrame = (frame: VideoFrame) => seen.push(frame)
  const decoder = await openVideoDecoder({ ffmpeg, track, format: 'yuv420p', source, onFrame }, { log: quiet })
  for (const packet of packets) expect(decoder.write(packet)).toBe(true)
  decoder.end()
  await decoder.closed
  expect(seen.map(numberOf)).toEqual(range(FRAMES))
  const steps = seen.slice(1).map(({ pts }, i) => pts - seen[i]!.pts)
  expect(new Set(steps)).toEqual(new Set([2 * FIELD_TICKS]))
})
