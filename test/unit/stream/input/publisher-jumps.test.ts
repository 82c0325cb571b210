import { describe, expect, it } from 'vitest'
import { PublisherJumps } from '../../../../src/stream/input/publisher-jumps.ts'

const SECOND = 90_000

describe('PublisherJumps', () => {
  it('begins once, whichever comes first', () => {
    const jumps = new PublisherJumps()
    expect(jumps.at('audio', 5 * SECOND, 0)).toBe(0)
    expect(jumps.at('video', 5 * SECOND + 10, 1)).toBeUndefined()
    expect(jumps.at('audio', 5 * SECOND + 1800, 20)).toBeUndefined()
  })

  it('passes over gaps, and over frames out of order', () => {
    const jumps = new PublisherJumps()
    jumps.at('video', 0, 0)
    expect(jumps.at('video', 9 * SECOND, 10)).toBeUndefined()
    expect(jumps.at('video', 8 * SECOND, 20)).toBeUndefined()
    expect(jumps.at('video', 60 * SECOND, 50_000)).toBeUndefined()
  })

  it('finds a jump once, and both go with it', () => {
    for (const ticks of [3600 * SECOND, -3600 * SECOND, -3 * SECOND]) {
      const jumps = new PublisherJumps()
      for (let i = 0; i < 100; i++) {
        const at = i * 20
        const pts = 7200 * SECOND + i * 1800 + (i < 50 ? 0 : ticks)
        const seen = [jumps.at('audio', pts, at), jumps.at('video', pts + 90, at)]
        if (i === 50) expect(seen).toEqual([ticks + 1800, undefined])
        else expect(seen).toEqual([i === 0 ? 0 : undefined, undefined])
      }
    }
  })

  it('is not misled by a frame that is seconds behind its audio, and more and more so', () => {
    const jumps = new PublisherJumps()
    jumps.at('audio', 0, 0)
    jumps.at('video', 0, 0)
    for (let at = 20; at < 60_000; at += 20) {
      expect(jumps.at('audio', at * 90, at)).toBeUndefined()
      expect(jumps.at('video', at * 40, at)).toBeUndefined()
    }
  })
})
