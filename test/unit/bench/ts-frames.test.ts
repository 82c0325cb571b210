import { expect, test } from 'vitest'
import { TsFrames } from '../../../bench/lib/media/ts-frames.ts'
import { TsWriter } from '../../../src/codec/mpegts/writer.ts'
import type { EncodedPacket } from '../../../src/core/media/packet.ts'

const frame = (pts: number): EncodedPacket => ({
  track: { id: 'video', kind: 'video', codec: 'h264' },
  data: Uint8Array.of(0, 0, 0, 1, 0x65, ...new Uint8Array(700).fill(9)),
  pts,
  key: true,
})
const audio = (pts: number): EncodedPacket => ({
  track: { id: 'audio', kind: 'audio', codec: 'opus', sampleRate: 48_000, channels: 2 },
  data: Uint8Array.of(0xfc, 1, 2, 3),
  pts,
  key: true,
})

test.each([1, 100, 188, 1000, 100_000])('finds each frame with its time in chunks of %i bytes', (size) => {
  const writer = new TsWriter()
  const times = [0, 3000, 2 ** 32 + 5, 2 ** 33 - 1]
  const bytes = Buffer.concat(times.flatMap((pts) => [writer.write(frame(pts)), writer.write(audio(pts))]))
  const seen: number[] = []
  const frames = new TsFrames((pts) => seen.push(pts))
  for (let at = 0; at < bytes.length; at += size) frames.push(bytes.subarray(at, at + size))
  expect(seen).toEqual(times)
})
