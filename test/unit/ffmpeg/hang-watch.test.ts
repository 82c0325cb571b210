import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { HangWatch, type HangWatchOptions } from '../../../src/ffmpeg/hang-watch.ts'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

const idle = { ranMs: 100, waitedMs: 0, runnable: false }

function open(options: Partial<HangWatchOptions> = {}) {
  let pending = 0
  let hungAfter: number | undefined
  let lastGave = performance.now()
  const watch = new HangWatch({
    due: () => pending > 0,
    share: () => idle,
    onHung: () => {
      hungAfter = performance.now() - lastGave
    },
    ...options,
  })
  return {
    take: () => {
      pending++
      watch.took()
    },
    give: () => {
      pending--
      watch.gave(pending > 0)
      lastGave = performance.now()
    },
    stop: () => watch.stop(),
    hungAfter: () => hungAfter,
  }
}

/** That many results at that interval, in milliseconds. */
function work(child: ReturnType<typeof open>, results: number, eachMs: number): void {
  for (let i = 0; i < results; i++) {
    child.take()
    vi.advanceTimersByTime(eachMs)
    child.give()
  }
}

test.each([
  { eachMs: 10, from: 1000, to: 1500 },
  { eachMs: 700, from: 1400, to: 2000 },
  { eachMs: 1900, from: 2000, to: 2500 },
])('one that needs $eachMs ms per result is hung after $from ms without one', ({ eachMs, from, to }) => {
  const child = open()
  work(child, 5, eachMs)
  child.take()
  vi.advanceTimersByTime(10_000)
  expect(child.hungAfter()).toBeGreaterThanOrEqual(from)
  expect(child.hungAfter()).toBeLessThanOrEqual(to)
})

test('one slow result is forgotten', () => {
  const child = open()
  work(child, 1, 1500)
  work(child, 64, 10)
  child.take()
  vi.advanceTimersByTime(1500)
  expect(child.hungAfter()).toBeDefined()
})

test('an idle one is not hung, and a pause of its source does not slow the detection', () => {
  const child = open()
  work(child, 3, 10)
  vi.advanceTimersByTime(60_000)
  expect(child.hungAfter()).toBeUndefined()
  child.take()
  vi.advanceTimersByTime(1500)
  expect(child.hungAfter()).toBeDefined()
})

test('the first result may take long, or as long as configured', () => {
  const patient = open()
  patient.take()
  const told = open({ firstMs: 5000 })
  told.take()
  vi.advanceTimersByTime(4900)
  expect(told.hungAfter()).toBeUndefined()
  vi.advanceTimersByTime(60_000)
  expect(told.hungAfter()).toBeDefined()
  expect(patient.hungAfter()).toBeUndefined()
  patient.stop()
})

test('one waiting for the CPU is not hung: a restart would not help', () => {
  const growing = (perTick: { ranMs: number; waitedMs: number }, runnable: boolean) => {
    let ticks = 0
    return () => {
      ticks++
      return { ranMs: ticks * perTick.ranMs, waitedMs: ticks * perTick.waitedMs, runnable }
    }
  }
  const queued = open({ share: growing({ ranMs: 20, waitedMs: 0 }, true) })
  const served = open({ share: growing({ ranMs: 0, waitedMs: 200 }, false) })
  const spinning = open({ share: growing({ ranMs: 250, waitedMs: 0 }, true) })
  for (const child of [queued, served, spinning]) {
    work(child, 3, 10)
    child.take()
  }
  vi.advanceTimersByTime(10_000)
  expect(queued.hungAfter()).toBeUndefined()
  expect(served.hungAfter()).toBeUndefined()
  expect(spinning.hungAfter()).toBeDefined()
  queued.stop()
  served.stop()
})

test('where the system does not report CPU waits, it takes two seconds', () => {
  const child = open({ share: () => undefined })
  work(child, 3, 10)
  child.take()
  vi.advanceTimersByTime(1900)
  expect(child.hungAfter()).toBeUndefined()
  vi.advanceTimersByTime(600)
  expect(child.hungAfter()).toBeDefined()
})
