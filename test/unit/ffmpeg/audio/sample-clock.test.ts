import { describe, expect, it } from 'vitest'
import { SampleClock } from '../../../../src/ffmpeg/audio/sample-clock.ts'

const SECOND = 90_000

describe('SampleClock', () => {
  it('returns the time of any sample', () => {
    const clock = new SampleClock()
    const base = 2 ** 33 - 100
    const inner = clock.enter(base)
    expect(inner).toBe(SECOND)
    expect(clock.leave(inner)).toBe(base)
    expect(clock.leave(inner + 777.4)).toBe(base + 777)
    // An encoder stamps its first packet before the first sample.
    expect(clock.leave(inner - 585)).toBe(base - 585)
  })

  it.each([
    ['ahead', 3600 * SECOND],
    ['back', -3600 * SECOND],
  ])('survives a jump %s', (_name, jump) => {
    const clock = new SampleClock()
    const before = clock.enter(10_000_000_000)
    const after = clock.enter(10_000_000_000 + jump)
    expect(after - before).toBe(SECOND)
    expect(clock.leave(before + 1800)).toBe(10_000_000_000 + 1800)
    expect(clock.leave(after - 585)).toBe(10_000_000_000 + jump - 585)
  })

  it('keeps a pause as a gap', () => {
    const clock = new SampleClock()
    const before = clock.enter(0)
    expect(clock.enter(5 * SECOND) - before).toBe(5 * SECOND)
  })
})
