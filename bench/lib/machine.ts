import { availableParallelism, cpus, loadavg, totalmem } from 'node:os'
import { ffmpegPath } from '../../test/helpers/binaries.ts'
import { runTool } from '../../test/helpers/run-tool.ts'
import { machineTime } from './processes.ts'

export type Machine = {
  processor: string
  cores: number
  memoryGiB: number
  node: string
  ffmpeg: string
  /** Load average over the last minute when the benchmark began. */
  load: number
}

/** CPU use during a benchmark, as a share of all cores. */
export type Busyness = { busy: number; stolen: number }

export async function describeMachine(): Promise<Machine> {
  const [banner] = await runTool(ffmpegPath(), ['-version'])
  return {
    processor: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    node: process.version,
    ffmpeg: /version (\S+)/.exec(String(banner))?.[1] ?? 'unknown',
    load: Math.round((loadavg()[0] ?? 0) * 100) / 100,
  }
}

/** Call at the beginning; the returned function gives the CPU use since. */
export function watchMachine(): () => Busyness {
  const before = machineTime()
  return () => {
    const now = machineTime()
    const total = Math.max(1, now.totalMs - before.totalMs)
    const part = (ms: number) => Math.round((ms / total) * 100) / 100
    return { busy: part(now.busyMs - before.busyMs), stolen: part(now.stolenMs - before.stolenMs) }
  }
}
