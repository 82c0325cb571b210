import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { EncodedPacket } from '../../../../src/core/media/packet.ts'
import { LipSync } from '../../../../src/stream/audio/lip-sync.ts'

const track = { id: 'a', kind: 'audio', codec: 'opus', sampleRate: 48_000, channels: 2 } as const
const packet = (ms: number): EncodedPacket => ({ track, data: new Uint8Array(1), pts: ms * 90, key: true })

let now: number
let left: { pts: number; at: number }[]
let sync: LipSync
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'hrtime'] })
  left = []
  sync = new LipSync(({ pts }) => left.push({ pts, at: clock() }))
  now = clock()
})
afterEach(() => {
  vi.useRealTimers()
})
const clock = () => Number(process.hrtime.bigint()) / 1e6

/** 50 frames per second with that delay, each with its audio. */
function play(delayMs: number, frames: number, begin = 0): void {
  for (let t = 0; t < frames * 20 + delayMs; t += 20) {
    const ms = begin + t
    if (t < frames * 20) {
      sync.frameIn(ms * 90)
      sync.audioIn(ms * 90)
      sync.write(packet(ms))
    }
    if (t >= delayMs) sync.frameOut((ms - delayMs) * 90)
    vi.advanceTimersByTime(20)
  }
}
const delays = () => left.map(({ pts, at }) => Math.round(at - now - pts / 90))

test('without a video delay, audio leaves at once', () => {
  play(20, 50)
  expect(left.length).toBe(50)
  expect(new Set(delays())).toEqual(new Set([0]))
  expect(sync.delayMs).toBe(0)
})

test('audio is delayed as long as video is', () => {
  play(400, 100)
  expect(left.length).toBe(100)
  expect(sync.delayMs).toBe(400)
  expect(new Set(delays().slice(30))).toEqual(new Set([400]))
})

test('when video is on time again, pending audio leaves', () => {
  play(400, 50)
  play(0, 30, 1400)
  expect(left.length).toBe(80)
  expect(delays().at(-1)).toBe(0)
  expect(left.every(({ pts }, i) => i === 0 || pts > left[i - 1]!.pts)).toBe(true)
})

test('audio later than its video by itself is delayed by the remainder only', () => {
  for (let t = 0; t < 3000; t += 20) {
    sync.frameIn(t * 90)
    if (t >= 400) sync.frameOut((t - 400) * 90)
    if (t >= 300) {
      sync.audioIn((t - 300) * 90)
      sync.write(packet(t - 300))
    }
    vi.advanceTimersByTime(20)
  }
  expect(new Set(delays().slice(40))).toEqual(new Set([400]))
})

test('future audio waits for its time, within a bound', () => {
  sync.audioIn(0)
  for (let i = 0; i < 1100; i++) sync.write(packet(i * 20))
  expect(left.length).toBe(1)
  expect(sync.dropped).toBe(99)
  vi.advanceTimersByTime(1010)
  expect(left.length).toBe(51)
  expect(new Set(delays())).toEqual(new Set([0]))
  sync.flush()
  expect(left.length).toBe(1001)
})
