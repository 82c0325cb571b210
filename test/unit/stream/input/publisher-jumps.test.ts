import { describe, expect, it } from 'vitest'
import { PublisherJumps } from '../../../../src/stream/input/publisher-jumps.ts'

const SECOND = 90_000
const FRAME = 1800

/** Places audio and video packets at 50 per second, with timestamps from `clock`; returns their placed timestamps. */
function follow(
  clock: (kind: 'audio' | 'video', n: number) => number,
  { count = 200, everyMs = 20, videoLater = 0 } = {},
) {
  const jumps = new PublisherJumps((first) => -first)
  const placed = { audio: [] as number[], video: [] as number[] }
  for (let n = 0; n < count; n++) {
    for (const kind of ['audio', 'video'] as const) {
      const index = kind === 'video' ? n - videoLater : n
      if (index < 0) continue
      const time = clock(kind, index)
      placed[kind].push(time + jumps.place(kind, time, true, n * everyMs).offset)
    }
  }
  return placed
}

function expectEven(placed: number[]) {
  const steps = placed.slice(1).map((time, index) => time - placed[index]!)
  expect(Math.min(...steps)).toBeGreaterThan(0)
  expect(Math.max(...steps)).toBeLessThanOrEqual(2 * FRAME)
}

describe('PublisherJumps', () => {
  it('starts once, whichever track comes first', () => {
    const begun: number[] = []
    const jumps = new PublisherJumps((first) => {
      begun.push(first)
      return 7
    })
    expect(jumps.place('audio', 5 * SECOND, true, 0)).toEqual({ offset: 7 })
    expect(jumps.place('video', 5 * SECOND + 10, true, 1)).toEqual({ offset: 7 })
    expect(begun).toEqual([5 * SECOND])
  })

  it.each([3, 9, 12, 32_400, -0.5, -1, -1.9, -3, -3600])(
    'continues over a jump of %d s, both tracks together',
    (seconds) => {
      for (const videoLater of [0, 10]) {
        const { audio, video } = follow((_, n) => 7200 * SECOND + n * FRAME + (n < 100 ? 0 : seconds * SECOND), {
          videoLater,
        })
        expectEven(audio)
        expectEven(video)
        expect(Math.abs(audio.at(-1)! - video.at(-1)! - videoLater * FRAME)).toBeLessThanOrEqual(2 * FRAME)
      }
    },
  )

  it('continues over a clock that restarts each second, in real time and at full speed', () => {
    for (const everyMs of [20, 0]) {
      const { audio, video } = follow((_, n) => (n % 50) * FRAME, { everyMs })
      expectEven(audio)
      expectEven(video)
      expect(Math.abs(audio.at(-1)! - video.at(-1)!)).toBeLessThanOrEqual(FRAME)
    }
  })

  it.each(['audio', 'video'])('keeps the tracks together when only the clock of %s restarts', (jumping) => {
    for (const seconds of [-60, -1, 5, 60]) {
      const { audio, video } = follow(
        (kind, n) => 90 * SECOND + n * FRAME + (kind === jumping && n >= 100 ? seconds * SECOND : 0),
      )
      expectEven(audio)
      expectEven(video)
      expect(Math.abs(audio.at(-1)! - video.at(-1)!)).toBeLessThanOrEqual(2 * FRAME)
    }
  })

  it('ignores pauses, gaps that the other track fills, and reordered frames', () => {
    const jumps = new PublisherJumps(() => 0)
    jumps.place('video', 0, true, 0)
    expect(jumps.place('video', 60 * SECOND, true, 60_000)).toEqual({ offset: 0 })
    expect(jumps.place('video', 60 * SECOND - 9000, true, 60_010)).toEqual({ offset: 0 })
    for (let n = 0; n < 500; n++) jumps.place('audio', 60 * SECOND + n * FRAME, true, 60_010)
    expect(jumps.place('video', 69 * SECOND, true, 60_010)).toEqual({ offset: 0 })
  })

  it('passes a low-rate file at full speed unchanged', () => {
    const jumps = new PublisherJumps(() => 0)
    jumps.place('video', 0, true, 0)
    const offsets = [3, 6, 9, 12].map((time) => jumps.place('video', time * SECOND, true, 10).offset)
    expect(new Set(offsets).size).toBe(1)
  })

  it('is not misled by video seconds behind its audio, and ever more so', () => {
    const jumps = new PublisherJumps(() => 0)
    for (let at = 0; at < 60_000; at += 20) {
      expect(jumps.place('audio', at * 90, true, at)).toEqual({ offset: 0 })
      expect(jumps.place('video', at * 40, true, at)).toEqual({ offset: 0 })
    }
  })
})
