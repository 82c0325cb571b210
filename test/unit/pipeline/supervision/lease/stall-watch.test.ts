import { expect, test } from 'vitest'
import { StallWatch } from '../../../../../src/pipeline/supervision/lease/stall-watch.ts'

/** Offers 30 frames per second from `from` to `to`, with an output every `everyMs`. */
function run(watch: StallWatch, from: number, to: number, everyMs: number): boolean {
  let stalled = false
  let next = from + everyMs
  for (let now = from; now < to; now += 33) {
    watch.offered(now)
    for (; next <= now; next += everyMs) watch.arrived(next)
    stalled ||= watch.stalled(now)
  }
  return stalled
}

test('no output is due before the first frame; a single frame is owed one', () => {
  const watch = new StallWatch()
  expect(watch.stalled(10_000)).toBe(false)
  watch.offered(10_000)
  expect(watch.stalled(10_700)).toBe(false)
  expect(watch.stalled(10_800)).toBe(true)
  watch.arrived(10_900)
  expect(watch.stalled(60_000)).toBe(false)
})

test('a pause of the source does not count, however long, and whatever was due before it', () => {
  const watch = new StallWatch()
  run(watch, 0, 3000, 40)
  watch.offered(3000)
  watch.offered(63_000)
  expect(watch.owedMs(63_100)).toBeLessThan(1200)
})

test('a source of one frame per second is not a stall, and does not hide one', () => {
  const watch = new StallWatch()
  for (let now = 0; now < 20_000; now += 1000) {
    watch.offered(now)
    expect(watch.stalled(now + 100)).toBe(false)
    watch.arrived(now + 150)
    expect(watch.stalled(now + 990)).toBe(false)
  }
  for (let now = 20_000; now < 30_000; now += 1000) watch.offered(now)
  expect(watch.stalled(29_000)).toBe(true)
  expect(watch.owedMs(29_000)).toBe(9000)
})

test('a pipeline that keeps up is never stalled; one that stops is, within a second', () => {
  const watch = new StallWatch()
  expect(run(watch, 0, 5000, 40)).toBe(false)
  expect(run(watch, 5000, 5700, 1e9)).toBe(false)
  expect(run(watch, 5700, 5850, 1e9)).toBe(true)
})

test('a slow one gets twice its own time, at most four seconds', () => {
  const watch = new StallWatch()
  run(watch, 0, 12_000, 1200)
  expect(run(watch, 12_000, 24_000, 1200)).toBe(false)
  expect(watch.patienceMs).toBeCloseTo(2400, -2)
  run(watch, 24_000, 90_000, 5000)
  expect(watch.patienceMs).toBe(4000)
})

test('one long pause changes nothing', () => {
  const watch = new StallWatch()
  run(watch, 0, 3000, 40)
  watch.offered(3000)
  watch.offered(9000)
  watch.arrived(9010)
  expect(watch.patienceMs).toBe(750)
})

test('after a pause of the source nothing is due', () => {
  const watch = new StallWatch()
  run(watch, 0, 3000, 40)
  watch.offered(60_000)
  expect(watch.stalled(60_000)).toBe(false)
})

test('a restart clears what was due', () => {
  const watch = new StallWatch()
  run(watch, 0, 900, 1e9)
  expect(watch.stalled(1000)).toBe(true)
  watch.reset()
  expect(watch.stalled(1000)).toBe(false)
})
