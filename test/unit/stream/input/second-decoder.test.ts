import { expect, test } from 'vitest'
import { SecondDecoder } from '../../../../src/stream/input/second-decoder.ts'

const frameAt = (pts: number) => ({ data: new Uint8Array(6), format: 'yuv420p' as const, width: 2, height: 2, pts })

/** Frames of a decoder that is `lag` ticks behind the one in use, 30 a second; the times of those that are passed on. */
function decode(lag: number, seconds: number) {
  let at = 0
  const passed: number[] = []
  const given: Uint8Array[] = []
  const second = new SecondDecoder({
    maxFps: 60,
    reached: () => at * 3000,
    onFrame: ({ pts }) => passed.push(pts),
    memory: { take: (bytes) => new Uint8Array(bytes), give: (data) => given.push(data) },
    now: () => (at * 1000) / 30,
  })
  for (; at < seconds * 30; at++) second.decoded(frameAt(at * 3000 - lag))
  return { passed, given: given.length }
}

test('frames from where the decoder in use is', () => {
  expect(decode(0, 1)).toMatchObject({ given: 0 })
  expect(decode(-3000, 1).passed[0]).toBe(3000)
})

test('one that stays behind is taken after some seconds', () => {
  expect(decode(90_000, 2)).toMatchObject({ passed: [], given: 60 })
  const { passed } = decode(90_000, 4)
  expect(passed.length).toBeGreaterThan(30)
  expect(passed[0]).toBe(76 * 3000 - 90_000)
})
