import { setTimeout as sleep } from 'node:timers/promises'
import { nowMs, TICKS_PER_SECOND } from '../../../src/core/clock.ts'
import { waitFor } from '../../../test/helpers/wait.ts'
import { inRealTime, Window } from '../media/feed.ts'
import { FPS, FRAME_TICKS, type Units } from '../media/units.ts'
import { cpuMs, treeCpuMs } from '../processes.ts'
import type { OpenContender } from './contender.ts'
import { MAX_FPS } from './server-contender.ts'

export type Cost = {
  /** CPU time of the whole process tree per output frame, at 30 frames per second. */
  cpuMsPerFrame: number
  /** The same by process, if the contender names them. */
  parts: Record<string, number>
  /** Measured frames that went in and did not come out. */
  lost: number
  /** Frames per second with six in flight at all times. */
  maxFps: number
  /** CPU time per frame at that speed, where caches stay warm and processes rarely sleep. */
  cpuMsPerFrameAtFullSpeed: number
  /** `parts` at that speed. */
  partsAtFullSpeed: Record<string, number>
}

/** After this, codecs and rate control have settled, and per-frame code is compiled. */
const WARM_UP_PICTURES = 15 * FPS

/** A server limits input to real time: at full speed, frames are stamped as if there were this many per second. */
const RACE_TICKS = TICKS_PER_SECOND / MAX_FPS

/** Cost of decoding and re-encoding a clip: in real time for `seconds`, and at full speed for half of that. */
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
    // Frames in flight come out before the full-speed part.
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
