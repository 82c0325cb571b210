import { describe, expect, it } from 'vitest'
import { Pace } from '../../../../src/stream/input/real-time-pacing.ts'

/** Timestamp of frame `index` at 30 per second. */
const pts = (index: number) => index * 3000
const FRAME_MS = 1000 / 30

describe('Pace', () => {
  it('never delays a publisher that sends in real time, however unevenly', () => {
    const pace = new Pace()
    for (let i = 0; i < 3000; i++) {
      // Bursts of six, one of them late now and then.
      const at = Math.ceil(i / 6) * 6 * FRAME_MS + (i % 100 === 0 ? 80 : 0)
      expect(pace.waitMs(pts(i), at)).toBe(0)
    }
  })

  it('spreads a segment that arrives at once over its duration, except for the first quarter of a second', () => {
    const pace = new Pace()
    const waits = Array.from({ length: 60 }, (_, i) => pace.waitMs(pts(i), 1000))
    expect(waits.slice(0, 8)).toEqual(Array(8).fill(0))
    expect(waits[59]).toBeCloseTo(59 * FRAME_MS - 250, 0)
    // The next segment arrives when this one is over, and starts at once.
    expect(pace.waitMs(pts(60), 3000)).toBe(0)
    expect(pace.waitMs(pts(119), 3000)).toBeGreaterThan(1700)
  })

  it('never delays a real-time publisher that was read late at first', () => {
    const pace = new Pace(800)
    for (let i = 0; i < 3000; i++) expect(pace.waitMs(pts(i), Math.max(800, i * FRAME_MS))).toBe(0)
  })

  it('restarts on a jump of the clock', () => {
    const pace = new Pace()
    pace.waitMs(pts(0), 0)
    expect(pace.waitMs(pts(0) + 90_000 * 60, 10)).toBe(0)
    expect(pace.waitMs(pts(30) + 90_000 * 60, 10)).toBeCloseTo(750, 0)
    expect(pace.waitMs(pts(0), 20)).toBe(0)
    expect(pace.waitMs(pts(30), 20)).toBeCloseTo(750, 0)
  })

  it('releases what was delayed, and is not slower afterwards', () => {
    const pace = new Pace()
    for (let i = 0; i < 90; i++) pace.waitMs(pts(i), i * FRAME_MS)
    // Nothing for three seconds, then everything at once, then as before.
    for (let i = 90; i < 180; i++) expect(pace.waitMs(pts(i), 6000)).toBeLessThan(1)
    for (let i = 180; i < 900; i++) expect(pace.waitMs(pts(i), i * FRAME_MS)).toBeLessThan(1)
  })

  it('waits longer for segments that always arrive late', () => {
    const pace = new Pace()
    const arrival = (segment: number) => segment * 1000 + (segment === 0 ? 0 : 600)
    const waits = Array.from({ length: 300 }, (_, i) => pace.waitMs(pts(i), arrival(Math.floor(i / 30))))
    // From the fourth segment on they are spread again.
    expect(waits[299]).toBeGreaterThan(600)
  })

  it('follows a clock faster than ours', () => {
    const pace = new Pace()
    let longest = 0
    // 1 % for ten minutes: six seconds in total.
    for (let i = 0; i < 30 * 600; i++) longest = Math.max(longest, pace.waitMs(pts(i) * 1.01, i * FRAME_MS))
    expect(longest).toBe(0)
  })

  it('soon stops delaying a publisher that was late at first and has been on time since', () => {
    const pace = new Pace()
    // The machine is overloaded for four seconds, then on time.
    const lateMs = (atMs: number) => (atMs < 4000 ? 900 + 100 * Math.sin(atMs) : 0)
    const waits = readInTurn(pace, 30 * 20, (at) => at + lateMs(at))
    expect(Math.max(...waits.slice(30 * 4, 30 * 5))).toBeGreaterThan(100)
    expect(Math.max(...waits.slice(30 * 13))).toBe(0)
  })

  it('does not delay a publisher for moments in which it, or this machine, was busy', () => {
    const pace = new Pace()
    const lateMs = (atMs: number) => (atMs % 1500 < 100 ? 240 : 0)
    const waits = readInTurn(pace, 30 * 60, (at) => at + lateMs(at))
    expect(Math.max(...waits)).toBeLessThan(1)
  })

  it.each([2, 5])('keeps spreading segments of %i s after the first few', (seconds) => {
    const pace = new Pace()
    const count = 30 * 120
    const releases: number[] = []
    let now = 0
    for (let i = 0; i < count; i++) {
      const arrived = Math.floor(i / (30 * seconds)) * seconds * 1000
      now = Math.max(now, arrived)
      now += pace.waitMs(pts(i), now)
      releases.push(now)
    }
    const late = releases.slice(30 * 40)
    const longestGap = Math.max(...late.map((at, i) => (i === 0 ? 0 : at - (late[i - 1] as number))))
    expect(longestGap).toBeLessThan(300)
  })

  it('admits a file sent at full speed hardly faster than real time', () => {
    const pace = new Pace()
    let now = 0
    for (let i = 0; i < 30 * 600; i++) now += pace.waitMs(pts(i), now)
    expect(now).toBeGreaterThan(600_000 * 0.96)
  })
})

/** Reads packets one after the other as a stream does; returns the total delay of each, in milliseconds. */
function readInTurn(pace: Pace, count: number, arrival: (atMs: number) => number): number[] {
  const waits: number[] = []
  let [now, arrived] = [0, 0]
  for (let i = 0; i < count; i++) {
    arrived = Math.max(arrived, arrival(i * FRAME_MS))
    now = Math.max(now, arrived)
    now += pace.waitMs(pts(i), now)
    waits.push(now - arrived)
  }
  return waits
}
