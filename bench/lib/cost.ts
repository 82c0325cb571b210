import { setTimeout as sleep } from 'node:timers/promises'
import { nowMs, TICKS_PER_SECOND } from '../../src/core/clock.ts'
import { waitFor } from '../../test/helpers/wait.ts'
import type { OpenContender } from './contender.ts'
import { inRealTime, Window } from './feed.ts'
import { cpuMs, treeCpuMs } from './processes.ts'
import { MAX_FPS } from './server-contender.ts'
import { FPS, FRAME_TICKS, type Units } from './units.ts'

export type Cost = {
  /** Processor time of the whole process tree for each frame that came out, at 30 a second. */
  cpuMsPerFrame: number
  /** The same by process, where the contender names them. */
  parts: Record<string, number>
  /** Frames that went in and did not come out, of the measured ones. */
  lost: number
  /** Frames a second with six on their way at any time. */
  maxFps: number
  /** Processor time for each frame at that speed, where caches stay warm and processes seldom sleep. */
  cpuMsPerFrameAtFullSpeed: number
  /** `parts` at that speed. */
  partsAtFullSpeed: Record<string, number>
}

/** Codecs and rate control have settled by then, and what runs once a frame is compiled. */
const WARM_UP_PICTURES = 15 * FPS

/** A server lets nothing in faster than real time: in the race frames are stamped as if there were this many a second. */
const RACE_TICKS = TICKS_PER_SECOND / MAX_FPS

/** What it costs to decode a clip and encode it again: at its own pace for `seconds`, and at full speed for half of that. */
export async function measureCost(open: OpenContender, units: Units, seconds: number): Promise<Cost> {
  let frames = 0
  let newest = -1
  let window: Window | undefined
  await using contender = await open(units, (number) => {
    frames++
    newest = number
    window?.back(number)
  })
  let next = 0
  const send = (number: number) => {
    next = number + 1
    contender.write(units.at(number), number)
  }
  const stop = new AbortController()
  const feeding = inRealTime(send, { signal: stop.signal })
  try {
    await waitFor('the first frames', () => frames >= WARM_UP_PICTURES, { limitMs: 60_000 })
    const parts = await contender.parts()
    const look = () => ({
      cpu: treeCpuMs(contender.pid),
      parts: partsCpuMs(parts),
      frames,
      newest,
    })
    const before = look()
    await sleep(seconds * 1000)
    const after = look()
    const count = Math.max(1, after.frames - before.frames)
    stop.abort()
    await feeding
    // What is still inside comes out before the race.
    await sleep(300)
    const first = next
    window = new Window(
      (number) => {
        const pts = (first + 1) * FRAME_TICKS + (number - first) * RACE_TICKS
        contender.write({ ...units.at(number), pts }, number)
      },
      { first },
    )
    return {
      cpuMsPerFrame: (after.cpu - before.cpu) / count,
      parts: perFrame(before.parts, after.parts, count),
      lost: after.newest - before.newest - (after.frames - before.frames),
      ...(await race(window, contender.pid, parts, () => frames, seconds / 2)),
    }
  } finally {
    stop.abort()
    window?.stop()
    await feeding
  }
}

async function race(
  window: Window,
  pid: number,
  parts: Record<string, number>,
  frames: () => number,
  seconds: number,
): Promise<Pick<Cost, 'maxFps' | 'cpuMsPerFrameAtFullSpeed' | 'partsAtFullSpeed'>> {
  window.start()
  await sleep(500)
  const look = () => ({ frames: frames(), cpu: treeCpuMs(pid), parts: partsCpuMs(parts), at: nowMs() })
  const before = look()
  await sleep(seconds * 1000)
  const after = look()
  window.stop()
  const count = Math.max(1, after.frames - before.frames)
  return {
    maxFps: (count * 1000) / (after.at - before.at),
    cpuMsPerFrameAtFullSpeed: (after.cpu - before.cpu) / count,
    partsAtFullSpeed: perFrame(before.parts, after.parts, count),
  }
}

function partsCpuMs(parts: Record<string, number>): Record<string, number> {
  return Object.fromEntries(Object.entries(parts).map(([name, pid]) => [name, cpuMs(pid)]))
}

function perFrame(before: Record<string, number>, after: Record<string, number>, count: number) {
  return Object.fromEntries(Object.entries(after).map(([name, cpu]) => [name, (cpu - before[name]!) / count]))
}
