import { expect, it } from 'vitest'
import { INPUT_SLOTS } from '../../../../src/pipeline/ring/frame-layout.ts'
import { ProcessingRate } from '../../../../src/pipeline/runner/processing-rate.ts'

/** Processes frames one after the other; returns the time after the last. */
function take(rate: ProcessingRate, times: number[], from = 0): number {
  let now = from
  for (const ms of times) {
    const done = rate.begin(now)
    now += ms
    done(now)
  }
  return now
}

it('while the pipeline warms up, keeps all frames that fit and uses the fastest frame time', () => {
  const rate = new ProcessingRate()
  expect(rate.backlog(0)).toBe(INPUT_SLOTS)
  const now = take(rate, [270, 130, 40, 12, 10, 11])
  expect(rate.backlog(now)).toBe(INPUT_SLOTS)
  rate.idle(1000)
  expect(rate.backlog(1000)).toBe(6)
})

it('continues until the pipeline has caught up, with a limit', () => {
  const rate = new ProcessingRate()
  take(rate, [200])
  rate.idle(900)
  expect(rate.backlog(2999)).toBe(INPUT_SLOTS)
  expect(rate.backlog(3000)).toBe(0)
})

it('follows slow frames at once and fast ones gradually, and starts over after a reset', () => {
  const rate = new ProcessingRate()
  take(rate, [10])
  rate.idle(2000)
  let now = take(rate, [100], 2000)
  expect(rate.backlog(now)).toBe(0)
  now = take(rate, [10, 10], now)
  expect(rate.backlog(now)).toBe(0)
  now = take(rate, Array(20).fill(10), now)
  expect(rate.backlog(now)).toBe(5)
  rate.reset()
  expect(rate.backlog(now)).toBe(INPUT_SLOTS)
})
