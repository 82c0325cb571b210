import { expect, test } from 'vitest'
import { Thinning } from '../../../../src/webrtc/whep/thinning.ts'

const FPS = 30
const STREAM_KBPS = 2400
const FRAME_BYTES = (STREAM_KBPS * 1000) / 8 / FPS

/** That many seconds of a stream with a keyframe every two; `takes` is the bandwidth of the viewer. */
function watch(thinning: Thinning, seconds: number, takes: number | undefined, fromS = 0) {
  const sent: { key: boolean; after: boolean }[] = []
  let asked = 0
  let before = true
  for (let i = 0; i < seconds * FPS; i++) {
    const key = i % (2 * FPS) === 0
    const now = fromS * 1000 + (i * 1000) / FPS
    const offered = { bytes: FRAME_BYTES, key, streamKbps: STREAM_KBPS, availableKbps: takes }
    const fits = thinning.take(offered, now)
    if (fits) sent.push({ key, after: before })
    if (thinning.wantsKeyframe(now)) asked++
    before = fits
  }
  return { sent, asked, share: sent.length / (seconds * FPS) }
}

test('a viewer with enough bandwidth gets everything', () => {
  expect(watch(new Thinning(), 20, undefined).share).toBe(1)
  expect(watch(new Thinning(), 20, STREAM_KBPS).share).toBe(1)
})

test('a limited one gets what fits, after a delay in which the encoder may adapt', () => {
  const thinning = new Thinning()
  expect(watch(thinning, 5, 800).share).toBe(1)
  const { share, asked } = watch(thinning, 60, 800, 5)
  expect(share).toBeGreaterThan(0.2)
  expect(share).toBeLessThan(0.45)
  expect(asked).toBeLessThanOrEqual(30)
  expect(thinning.dropped).toBeGreaterThan(0.5 * 60 * FPS)
})

test('what it gets is decodable: after a dropped frame comes a keyframe', () => {
  const thinning = new Thinning()
  const { sent } = watch(thinning, 60, 700)
  expect(sent.filter(({ after, key }) => !after && !key)).toEqual([])
  expect(sent.some(({ after }) => !after)).toBe(true)
})

test('however low the estimate, a share of the stream is sent', () => {
  const thinning = new Thinning()
  const { share } = watch(thinning, 120, 1)
  expect(share).toBeGreaterThan(0.08)
  expect(share).toBeLessThan(0.3)
})

test('once its network has room again it gets everything, from the next keyframe on', () => {
  const thinning = new Thinning()
  watch(thinning, 20, 500)
  watch(thinning, 2, undefined, 20)
  expect(watch(thinning, 10, undefined, 22).share).toBe(1)
})
