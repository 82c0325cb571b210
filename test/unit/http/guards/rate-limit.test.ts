import { describe, expect, it } from 'vitest'
import { RateLimit } from '../../../../src/http/guards/rate-limit.ts'

describe('the rate limit', () => {
  it('lets a burst of one minute pass, then the configured rate', () => {
    const limit = new RateLimit(60)
    for (let i = 0; i < 60; i++) expect(limit.take('a', 0)).toBe(0)
    expect(limit.take('a', 0)).toBe(1)
    expect(limit.take('a', 900)).toBe(1)
    expect(limit.take('a', 1000)).toBe(0)
    expect(limit.take('a', 1000)).toBe(1)
    expect(limit.take('b', 1000)).toBe(0)
  })

  it('returns how long to wait', () => {
    const limit = new RateLimit(2)
    limit.take('a', 0)
    limit.take('a', 0)
    expect(limit.take('a', 0)).toBe(30)
    expect(limit.take('a', 29_999)).toBe(1)
    expect(limit.take('a', 30_000)).toBe(0)
  })

  it('never accumulates more than one minute', () => {
    const limit = new RateLimit(3)
    limit.take('a', 0)
    const later = 3_600_000
    expect([1, 2, 3, 4].map(() => limit.take('a', later))).toEqual([0, 0, 0, 20])
  })

  it('is off at 0', () => {
    const limit = new RateLimit(0)
    for (let i = 0; i < 1000; i++) expect(limit.take('a', 0)).toBe(0)
  })

  it('forgets the least active addresses when there are too many', () => {
    const limit = new RateLimit(1)
    limit.take('first', 0)
    for (let i = 0; i < 10_000; i++) limit.take(`address ${i}`, 0)
    expect(limit.take('first', 0)).toBe(0)
    expect(limit.take('address 9999', 0)).toBeGreaterThan(0)
  })
})
