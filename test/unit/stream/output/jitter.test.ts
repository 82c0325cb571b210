import { describe, expect, it } from 'vitest'
import { OutputJitter } from '../../../../src/stream/output/jitter.ts'

/** 30 frames per second for some seconds, each leaving `late(index)` ms after its timestamp. */
function run(evenness: OutputJitter, seconds: number, late: (index: number) => number, from = 0): void {
  for (let i = 0; i < seconds * 30; i++) {
    const time = from + (i * 1000) / 30
    evenness.add(Math.round(time * 90), time + late(i))
  }
}

describe('OutputJitter', () => {
  it('needs no delay for evenly spaced frames, however late', () => {
    const evenness = new OutputJitter()
    run(evenness, 10, () => 40)
    expect(evenness.delayMs).toBe(0)
    run(evenness, 10, (i) => 500 + (i % 3) * 5, 10_000)
    expect(evenness.delayMs).toBe(0)
  })

  it('covers bursts', () => {
    const evenness = new OutputJitter()
    // Six frames at once, at the time of the newest: the first is five intervals late.
    run(evenness, 10, (i) => (5 - (i % 6)) * (1000 / 30))
    expect(evenness.delayMs).toBeGreaterThanOrEqual(160)
    expect(evenness.delayMs).toBeLessThanOrEqual(180)
  })

  it('does not follow a single late frame, and is bounded', () => {
    const evenness = new OutputJitter()
    run(evenness, 10, (i) => (i % 60 === 30 ? 400 : 0))
    expect(evenness.delayMs).toBe(0)
    run(evenness, 10, (i) => (i % 2) * 3000, 10_000)
    expect(evenness.delayMs).toBe(500)
  })

  it('decays after a while', () => {
    const evenness = new OutputJitter()
    run(evenness, 8, (i) => (i % 2) * 100)
    expect(evenness.delayMs).toBe(100)
    run(evenness, 16, () => 0, 8000)
    expect(evenness.delayMs).toBe(0)
  })

  it('treats neither a slow start nor a single accident as bursts', () => {
    const evenness = new OutputJitter()
    run(evenness, 2, (i) => Math.max(0, 400 - i * 10))
    run(evenness, 10, () => 0, 2000)
    expect(evenness.delayMs).toBe(0)
    run(evenness, 2, (i) => (i % 2) * 300, 12_000)
    run(evenness, 4, () => 0, 14_000)
    expect(evenness.delayMs).toBe(0)
    // The same after every new encoder, however often.
    for (let from = 18_000; from < 48_000; from += 3000) {
      evenness.restart()
      run(evenness, 1, (i) => Math.max(0, 400 - i * 20), from)
      run(evenness, 2, () => 0, from + 1000)
    }
    expect(evenness.delayMs).toBe(0)
  })
})
