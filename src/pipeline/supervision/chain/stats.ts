import type { Percentiles } from '../../../core/counters.ts'
import type { PipelineStats } from '../lease/events.ts'
import type { Stage } from './state.ts'

/** A chain's counters as seen from outside: frames enter the first stage and leave the last one. */
export function chainStats(
  stages: readonly Stage[],
  /** The stages that process video. */
  video: readonly Stage[],
  between: { lost: number; inside: number },
  latencyMs: Percentiles,
): PipelineStats {
  const all = stages.map(({ key, lease }) => {
    const stats = lease.stats()
    return { ...stats, lastError: stats.lastError && { ...stats.lastError, stage: key } }
  })
  const at = (stage: Stage | undefined) => all[stages.indexOf(stage!)]!
  const [first, last] = [at(video[0]), at(video.at(-1))]
  const sum = (read: (stats: PipelineStats) => number) => all.reduce((total, stats) => total + read(stats), 0)
  const newest = <T>(read: (stats: PipelineStats) => T | undefined, time: (value: T) => number): T | undefined =>
    all.map(read).reduce<T | undefined>((a, b) => (a && (!b || time(a) > time(b)) ? a : b), undefined)
  return {
    inputFps: first.inputFps,
    fps: last.fps,
    lastInputTime: first.lastInputTime,
    lastOutputTime: last.lastOutputTime,
    lastParamsTime: newest(
      ({ lastParamsTime }) => lastParamsTime,
      (time) => time,
    ),
    lastError: newest(
      ({ lastError }) => lastError,
      ({ time }) => time,
    ),
    lastRestart: newest(
      ({ lastRestart }) => lastRestart,
      ({ time }) => time,
    ),
    restarts: sum(({ restarts }) => restarts),
    dropped: {
      beforePipeline: sum(({ dropped }) => dropped.beforePipeline) + between.lost,
      afterPipeline: sum(({ dropped }) => dropped.afterPipeline),
      failed: sum(({ dropped }) => dropped.failed),
    },
    frames: { in: first.frames.in, out: last.frames.out, inside: sum(({ frames }) => frames.inside) + between.inside },
    latencyMs,
    pid: first.pid,
  }
}
