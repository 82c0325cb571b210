import type { PipelineStats } from '../../pipeline/supervision/lease/events.ts'

/** Frames that a stream's pipelines dropped, and how often they were restarted. */
export type Losses = { beforePipeline: number; afterPipeline: number; failed: number; restarts: number }

export const NO_LOSSES: Losses = { beforePipeline: 0, afterPipeline: 0, failed: 0, restarts: 0 }

export function lossesOf({ dropped, restarts }: PipelineStats): Losses {
  return { ...dropped, restarts }
}

/** `a` plus `sign` times `b`. */
export function addLosses(a: Losses, b: Losses, sign: 1 | -1 = 1): Losses {
  return {
    beforePipeline: a.beforePipeline + sign * b.beforePipeline,
    afterPipeline: a.afterPipeline + sign * b.afterPipeline,
    failed: a.failed + sign * b.failed,
    restarts: a.restarts + sign * b.restarts,
  }
}
