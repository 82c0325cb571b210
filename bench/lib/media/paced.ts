import { readdir, readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { nowMs, TICKS_PER_SECOND } from '../../../src/core/clock.ts'

const FPS = 30

/**
 * Calls `offer` thirty times a second until `until`, with the time stamp of each frame; returns the number of frames.
 */
export async function feedPaced(first: number, until: number, offer: (pts: number) => void): Promise<number> {
  const from = nowMs()
  let sent = 0
  for (; nowMs() < until; sent++) {
    const due = from + (sent * 1000) / FPS
    if (due > nowMs()) await sleep(due - nowMs())
    offer(ptsOf(first + sent))
  }
  return sent
}

export function ptsOf(number: number): number {
  return (number * TICKS_PER_SECOND) / FPS
}

/** CPU time of all threads of a process, in milliseconds; accurate to the nanosecond, unlike `/proc/PID/stat`. */
export async function threadsCpuMs(pid: number | 'self'): Promise<number> {
  const threads = await readdir(`/proc/${pid}/task`)
  const read = (thread: string) => readFile(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').catch(() => '0')
  const texts = await Promise.all(threads.map(read))
  return texts.reduce((sum, text) => sum + Number(text.split(' ')[0]) / 1e6, 0)
}
