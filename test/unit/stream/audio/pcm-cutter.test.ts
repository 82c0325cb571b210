import { expect, test } from 'vitest'
import type { AudioFrame } from '../../../../src/core/media/audio.ts'
import { PcmCutter } from '../../../../src/stream/audio/pcm-cutter.ts'

/** Increasing samples, so that lost and repeated ones show. */
function piece(from: number, samples: number, pts: number, channels = 1): AudioFrame {
  const data = Float32Array.from({ length: samples * channels }, (_, i) => from + Math.floor(i / channels))
  return { data, sampleRate: 48_000, channels, pts }
}

function cut(frameMs: number, pieces: AudioFrame[]) {
  const frames: AudioFrame[] = []
  const cutter = new PcmCutter(frameMs, (frame) => frames.push(frame))
  for (const one of pieces) cutter.push(one)
  return { frames, cutter }
}
const samplesOf = (frames: AudioFrame[]) => frames.flatMap(({ data }) => [...data])

test('chunks of any length become frames of the same length, without losing a sample', () => {
  const { frames } = cut(10, [piece(0, 1024, 900), piece(1024, 1024, 900 + 1920), piece(2048, 400, 900 + 3840)])
  expect(frames.map(({ pts, data }) => [pts, data.length])).toEqual([0, 1, 2, 3, 4].map((i) => [900 + 900 * i, 480]))
  expect(samplesOf(frames)).toEqual(Array.from({ length: 2400 }, (_, i) => i))
})

test('a chunk of the length of a frame passes unchanged', () => {
  const whole = piece(0, 960, 0, 2)
  expect(cut(20, [whole]).frames[0]!.data).toBe(whole.data)
})

test('a short gap becomes silence', () => {
  const { frames } = cut(20, [piece(1, 960, 0), piece(1, 960, 3600)])
  expect(frames.map(({ pts }) => pts)).toEqual([0, 1800, 3600])
  expect(samplesOf(frames).filter((sample) => sample === 0).length).toBe(960)
})

test('rounding of timestamps is no gap', () => {
  const { frames } = cut(20, [piece(0, 960, 0), piece(960, 960, 1830), piece(1920, 960, 3570)])
  expect(samplesOf(frames)).toEqual(Array.from({ length: 2880 }, (_, i) => i))
})

test('overlapping samples are left out', () => {
  const { frames, cutter } = cut(20, [piece(0, 960, 0), piece(240, 960, 450)])
  cutter.flush()
  expect(samplesOf(frames).slice(0, 1200)).toEqual(Array.from({ length: 1200 }, (_, i) => i))
})

test.each([
  ['a long gap', 900_000],
  ['a clock that goes back', -900_000],
])('after %s it restarts', (_, pts) => {
  const { frames } = cut(20, [piece(5, 480, 0), piece(5, 960, pts)])
  // The previous incomplete frame is padded with silence.
  expect(frames.map((frame) => frame.pts)).toEqual([0, pts])
  expect([...frames[0]!.data.slice(480)].every((sample) => sample === 0)).toBe(true)
})

test('the number of channels may change', () => {
  const { frames } = cut(20, [piece(0, 960, 0, 1), piece(0, 960, 1800, 2)])
  expect(frames.map(({ channels, data }) => [channels, data.length])).toEqual([
    [1, 960],
    [2, 1920],
  ])
})
