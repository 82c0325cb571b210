import { expect, it } from 'vitest'
import type { EncodedPacket } from '../../../../src/core/media/packet.ts'
import { DecodeOrder } from '../../../../src/ffmpeg/remote/decode-order.ts'

const video = (pts: number): EncodedPacket => ({
  track: { id: 'video', kind: 'video', codec: 'h264', width: 320, height: 180 },
  data: Uint8Array.of(0),
  pts,
  key: false,
})
const dtsOf = (order: DecodeOrder, times: number[]) =>
  times.map((pts) => {
    const placed = order.place(video(pts))
    return placed.dts ?? placed.pts
  })

it('leaves frames in order unchanged', () => {
  const order = new DecodeOrder()
  for (const pts of [0, 3000, 6000]) expect(order.place({ ...video(pts), dts: pts - 180_000 })).toEqual(video(pts))
})

it('gives reordered frames increasing decode timestamps before their presentation', () => {
  const order = new DecodeOrder()
  const frames = Array.from({ length: 20 }, (_, gop) => [4, 2, 1, 3].map((n) => (gop * 4 + n) * 3000)).flat()
  const dts = dtsOf(order, [0, ...frames])
  expect(dts.every((time, i) => i === 0 || time > dts[i - 1]!)).toBe(true)
  // Once the reordering depth is known.
  const late = [0, ...frames].map((pts, i) => dts[i]! - pts).slice(8)
  expect(Math.max(...late)).toBeLessThan(90)
  expect(Math.min(...late)).toBeGreaterThan(-6 * 3000)
})

it('restarts where the clock of the source does', () => {
  const order = new DecodeOrder()
  expect(dtsOf(order, [900_000, 903_000, 100, 3100])).toEqual([900_000, 903_000, 100, 3100])
  expect(dtsOf(order, [9_000_000, 9_003_000])).toEqual([9_000_000, 9_003_000])
})

it('leaves audio unchanged', () => {
  const track = { id: 'audio', kind: 'audio', codec: 'opus', sampleRate: 48_000, channels: 2 } as const
  const packet: EncodedPacket = { track, data: Uint8Array.of(0), pts: 5, key: true }
  expect(new DecodeOrder().place(packet)).toBe(packet)
})
