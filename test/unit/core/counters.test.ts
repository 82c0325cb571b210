import { describe, expect, it } from 'vitest'
import { LatencyMeter, RateMeter } from '../../../src/core/counters.ts'

describe('RateMeter', () => {
  it('is correct from the second second on, and forgets the past', () => {
    const meter = new RateMeter(2000)
    let now = 1000
    for (let i = 0; i < 30; i++, now += 1000 / 30) meter.add(1, now)
    expect(meter.perSecond(now)).toBeCloseTo(30, 0)
    for (let i = 0; i < 90; i++, now += 1000 / 30) meter.add(1, now)
    expect(meter.perSecond(now)).toBeGreaterThan(28)
    expect(meter.perSecond(now)).toBeLessThan(32)
    expect(meter.perSecond(now + 5000)).toBe(0)
    expect(meter.total).toBe(120)
  })
})

describe('LatencyMeter', () => {
  it('returns percentiles of the newest samples only', () => {
    const meter = new LatencyMeter(100)
    for (let i = 0; i < 1000; i++) meter.add(1000)
    for (let i = 1; i <= 100; i++) meter.add(i)
    expect(meter.percentiles()).toEqual({ p50: 51, p95: 96, p99: 100 })
  })

  it('is zero before the first sample', () => {
    expect(new LatencyMeter().percentiles()).toEqual({ p50: 0, p95: 0, p99: 0 })
  })
})
