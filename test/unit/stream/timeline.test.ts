import { describe, expect, it } from 'vitest'
import { Timeline } from '../../../src/stream/timeline.ts'

describe('Timeline', () => {
  it('keeps the timestamps of the first publisher', () => {
    const timeline = new Timeline()
    timeline.join(8_589_934_000)
    expect(timeline.place(8_589_934_000)).toBe(8_589_934_000)
  })

  it('places a later publisher after what was already sent', () => {
    const timeline = new Timeline()
    timeline.join(900_000)
    timeline.reached(timeline.place(1_000_000))
    timeline.join(5)
    expect(timeline.place(5)).toBeGreaterThan(1_000_000)
    expect(timeline.place(5)).toBeLessThan(1_000_000 + 90_000)
    expect(timeline.place(95) - timeline.place(5)).toBe(90)
    expect(Number.isInteger(timeline.place(5))).toBe(true)
  })
})
