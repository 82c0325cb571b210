import { expect, test } from 'vitest'
import { percentiles, quantile, ratios, slope, slopeOfMedians, spread } from '../../../bench/lib/statistics.ts'

test('quantiles are interpolated', () => {
  expect(quantile([4, 1, 3, 2], 0.5)).toBe(2.5)
  expect(quantile([5], 0.99)).toBe(5)
  expect(quantile([], 0.5)).toBeNaN()
  expect(percentiles(Array.from({ length: 101 }, (_, i) => i))).toEqual({ p50: 50, p95: 95, p99: 99, count: 101 })
})

test('the slope is that of least squares', () => {
  expect(slope([0, 1, 2, 3].map((x) => [x, 2 * x + 7] as const))).toBeCloseTo(2)
  expect(
    slope([
      [0, 1],
      [1, 0],
      [2, 2],
      [3, 1],
    ]),
  ).toBeCloseTo(0.2)
  expect(slope([[5, 1]])).toBe(0)
})

test('the slope through medians is robust to outliers', () => {
  const line = Array.from({ length: 100 }, (_, i) => [i, 3 * i] as const)
  const strays = [
    [95, 9000],
    [98, 9000],
    [99, 9000],
  ] as const
  expect(slopeOfMedians([...line, ...strays], 10)).toBeCloseTo(3, 0)
  expect(slope([...line, ...strays])).toBeGreaterThan(10)
  expect(slopeOfMedians(line.slice(0, 5), 10)).toBe(0)
})

test('ratios pair measurements of the same round', () => {
  expect(ratios([3, 8], [2, 4])).toEqual([1.5, 2])
  expect(ratios([3], [])).toEqual([])
})

test('a spread has the median and the extremes', () => {
  expect(spread([1, 3, 2], 1)).toBe('2.0 (1.0 to 3.0)')
  expect(spread([2.345])).toBe('2.35')
})
