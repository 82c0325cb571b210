import { RUNNER_COUNTERS } from '../ring/frame-layout.ts'
import type { FrameRing } from '../ring/frame-ring.ts'

/** What became of frames. `offered = beforePipeline + failed + accepted + inside`, always. */
export type FrameCounts = {
  /** Frames put into the ring. */
  offered: number
  /** Replaced by a newer one, or left behind, before the pipeline took them. */
  beforePipeline: number
  /** On which the pipeline threw, or its process ended. */
  failed: number
  /** The pipeline took them without an exception. */
  accepted: number
  /** In the ring or in the pipeline at this moment. */
  inside: number
  /** Outputs that were lost or refused on their way to the server. */
  afterPipeline: number
  /** Outputs that arrived here. */
  arrived: number
}

export const NO_FRAMES: FrameCounts = {
  offered: 0,
  beforePipeline: 0,
  failed: 0,
  accepted: 0,
  inside: 0,
  afterPipeline: 0,
  arrived: 0,
}

/** Read from the shared counters, which survive the runner. `gone`: it will not work on what it has any more. */
export function readFrameCounts(input: FrameRing, output: FrameRing, runner: Int32Array, gone: boolean): FrameCounts {
  const at = (name: keyof typeof RUNNER_COUNTERS) => Atomics.load(runner, RUNNER_COUNTERS[name])
  const [accepted, failed] = [at('accepted'), at('failed')]
  const [queued, queueLost, produced, refused] = [at('queued'), at('queueLost'), at('produced'), at('refused')]
  const before = input.count()
  const after = output.count()
  const inPipeline = before.taken - accepted - failed
  const replaced = before.overwritten + before.skipped + before.stale
  const lost = queueLost + refused + after.overwritten + after.skipped
  // In a queue, or in hand, when the process ended.
  const buried = Math.max(0, queued - queueLost - produced) + (produced - refused - after.written) + after.waiting
  return {
    offered: before.written,
    beforePipeline: replaced + (gone ? before.waiting : 0),
    failed: failed + (gone ? inPipeline : 0),
    accepted,
    inside: gone ? 0 : before.waiting + inPipeline,
    afterPipeline: lost + (gone ? buried : 0),
    arrived: after.taken,
  }
}

/** `a + sign · b`, field by field. */
export function combine(a: FrameCounts, b: FrameCounts, sign: 1 | -1): FrameCounts {
  const sum = { ...a }
  for (const key of Object.keys(sum) as (keyof FrameCounts)[]) sum[key] += sign * b[key]
  return sum
}
