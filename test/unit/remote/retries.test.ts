import { expect, test } from 'vitest'
import { Retries } from '../../../src/remote/retries.ts'

test('delays grow to half a minute, and are reset after a successful run', () => {
  const retries = new Retries()
  const pauses = Array.from({ length: 9 }, () => retries.failed(0))
  expect(pauses).toEqual([500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000])
  expect(retries.failed(9000)).toBe(30_000)
  expect(retries.failed(20_000)).toBe(500)
  expect(retries.failures).toBe(11)
})
