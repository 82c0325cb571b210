import { describe, expect, it } from 'vitest'
import { Stamps } from '../../../src/ffmpeg/stamps.ts'

const SECOND = 90_000

/**
 * Passes all timestamps through with a few always in flight, in order of the inner ones, as a reordering decoder does.
 */
function through(stamps: Stamps, packets: { pts: number; dts?: number }[], inside = 4): (number | undefined)[] {
  const held: number[] = []
  const out: (number | undefined)[] = []
  const release = () => out.push(stamps.leave(held.sort((a, b) => a - b).shift()!))
  for (const { pts, dts } of packets) {
    held.push(stamps.enter(pts, dts))
    if (held.length > inside) release()
  }
  while (held.length > 0) release()
  return out
}

describe('Stamps', () => {
  it('returns each timestamp, in order, whatever the clock started with', () => {
    for (const base of [0, -5000, 2 ** 33 - 10_000, 2 ** 45]) {
      const sent = Array.from({ length: 50 }, (_, i) => ({ pts: base + i * 3003 }))
      expect(through(new Stamps(), sent)).toEqual(sent.map(({ pts }) => pts))
    }
  })

  it('keeps the inner timestamps near zero', () => {
    const stamps = new Stamps()
    expect(stamps.enter(2 ** 33)).toBe(2 * SECOND)
    expect(stamps.enter(2 ** 33 + 3000)).toBe(2 * SECOND + 3000)
  })

  it('follows frames out of order', () => {
    const order = [0, 4, 2, 1, 3, 8, 6, 5, 7]
    const sent = order.map((n, i) => ({ pts: n * 3000 + 6000, dts: i * 3000 }))
    expect(through(new Stamps(), sent)).toEqual(sent.map(({ pts }) => pts).sort((a, b) => a - b))
  })

  it.each([
    ['ahead by a day', 24 * 3600 * SECOND],
    ['back by an hour', -3600 * SECOND],
    ['back to zero', -(2 ** 33)],
  ])('survives a jump %s', (_name, jump) => {
    const stamps = new Stamps()
    const sent = [0, 1, 2, 3, 4, 5].map((i) => ({ pts: 2 ** 33 + i * 3000 + (i > 2 ? jump : 0) }))
    const inner = sent.map(({ pts }) => stamps.enter(pts))
    expect(inner).toEqual([...inner].sort((a, b) => a - b))
    expect(inner.at(-1)).toBeLessThan(10 * SECOND)
    expect(inner.map((stamp) => stamps.leave(stamp))).toEqual(sent.map(({ pts }) => pts))
  })

  it('forgets frames that were lost', () => {
    const stamps = new Stamps()
    const inner = [0, 3000, 6000].map((pts) => stamps.enter(pts))
    expect(stamps.leave(inner[2]!)).toBe(6000)
    expect(stamps.pending).toBe(0)
    expect(stamps.leave(inner[2]!)).toBeUndefined()
  })

  it('finds the nearest when ffmpeg is off by some ticks', () => {
    const stamps = new Stamps()
    const inner = [0, 3000, 6000].map((pts) => stamps.enter(pts))
    expect(stamps.leave(inner[1]! + 900)).toBe(3000)
  })

  it('increases where time repeats or goes back, if asked to', () => {
    const stamps = new Stamps({ increasing: true })
    const sent = [1000, 1000, 500, 1000, 4000]
    const inner = sent.map((pts) => stamps.enter(pts))
    expect(new Set(inner).size).toBe(5)
    expect(inner).toEqual([...inner].sort((a, b) => a - b))
    expect(inner.map((stamp) => stamps.leave(stamp))).toEqual(sent)
  })

  it('is bounded', () => {
    const stamps = new Stamps()
    for (let i = 0; i < 5000; i++) stamps.enter(i * 3000)
    expect(stamps.pending).toBeLessThanOrEqual(1024)
  })
})
