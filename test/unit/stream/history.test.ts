import { expect, test } from 'vitest'
import { StreamHistory } from '../../../src/stream/history.ts'
import { statusSample } from '../http/status-sample.ts'

test('keeps five minutes and no more', () => {
  const history = new StreamHistory()
  for (let second = 0; second < 1000; second++) {
    const status = statusSample()
    history.sample({ ...status, egress: { ...status.egress, fps: second } }, second * 1000)
  }
  const { samples, until, everyMs } = history.report()
  expect(samples.egressFps).toEqual(Array.from({ length: 300 }, (_, index) => 700 + index))
  expect(new Set(Object.values(samples).map(({ length }) => length))).toEqual(new Set([300]))
  expect([until, everyMs]).toEqual([new Date(999_000).toISOString(), 1000])
  expect(JSON.stringify(history.report()).length).toBeLessThan(40_000)
})

test('a state lasts from its first sample, and old ones are dropped', () => {
  const history = new StreamHistory()
  expect(history.observe('LOADING', 1000)).toBe(1000)
  expect(history.observe('ONLINE', 5000)).toBe(5000)
  expect(history.observe('ONLINE', 600_000)).toBe(5000)
  expect(history.observe('ERROR', 610_000)).toBe(610_000)
  // States that began in the last five minutes, and the one in force before.
  expect(history.report().states.map(({ state }) => state)).toEqual(['ONLINE', 'ERROR'])
  for (let flap = 0; flap < 500; flap++) history.observe(flap % 2 ? 'ONLINE' : 'ERROR', 620_000 + flap)
  expect(history.report().states.length).toBeLessThanOrEqual(60)
})
