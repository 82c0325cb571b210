import { expect, test } from 'vitest'
import { summary } from '../../../src/cli/measure/statistics.ts'
import { gpuMemoryOf } from '../../../src/cli/measure/usage.ts'

test('percentiles are measured values, and 95 of 100 decide', () => {
  const times = Array.from({ length: 100 }, (_, index) => 100 - index)
  expect(summary(times, 10)).toEqual({ frameMs: { p50: 50, p95: 95, max: 100 }, keepsUp: true })
  expect(summary(times, 11)).toMatchObject({ keepsUp: false })
  expect(summary([7], 30).frameMs).toEqual({ p50: 7, p95: 7, max: 7 })
})

test('GPU memory is that of the given processes, on all GPUs', () => {
  const text = '101, 300\n102, 20\n101, 512\n9101, 7\n103, [N/A]\n'
  expect(gpuMemoryOf(text, [101, 103])).toBe(812 * 2 ** 20)
  expect(gpuMemoryOf(text, [103])).toBeUndefined()
  expect(gpuMemoryOf('', [101])).toBeUndefined()
})
