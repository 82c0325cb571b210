import { RUNNER_COUNTERS } from '../ring/frame-layout.ts'
import { difference, type FrameRing } from '../ring/frame-ring.ts'

/**
 * Frame counters. Always `offered = beforePipeline + failed + accepted + inside`, modulo 2^32: the ring's counters wrap
 * there, after 828 days at 60 frames per second.
 */
export type FrameCounts = {
  /** Frames written to the ring. */
  offered: number
  /** Replaced by a newer frame, or discarded, before the pipeline took them. */
  beforePipeline: number
  /** Frames on which the pipeline threw or its process ended. */
  failed: number
  /** Frames that the pipeline processed without an exception. */
  accepted: number
  /** Frames in the ring or in the pipeline now. */
  inside: number
  /** Outputs dropped or refused on their way to the server. */
  afterPipeline: number
  /** Outputs on their way to the server. */
  pending: number
  /** Outputs that reached the server. */
  arrived: number
}

export const NO_FRAMES: FrameCounts = {
  offered: 0,
  beforePipeline: 0,
  failed: 0,
  accepted: 0,
  inside: 0,
  afterPipeline: 0,
  pending: 0,
  arrived: 0,
}

/** Reads the shared counters, which outlive the runner. `gone`: it will not process what it has any more. */
export function readFrameCounts(input: FrameRing, output: FrameRing, runner: Int32Array, gone: boolean): FrameCounts {
  const at = (name: keyof typeof RUNNER_COUNTERS) => Atomics.load(runner, RUNNER_COUNTERS[name])
  const [accepted, failed] = [at('accepted'), at('failed')]
  const [queued, queueLost, produced, refused] = [at('queued'), at('queueLost'), at('produced'), at('refused')]
  const before = input.count()
  const after = output.count()
  const inPipeline = difference(before.taken - accepted - failed)
  const replaced = before.overwritten + before.skipped + before.stale
  const lost = queueLost + refused + after.overwritten + after.skipped
  const pending =
    Math.max(0, difference(queued - queueLost - produced)) +
    difference(produced - refused - after.written) +
    after.waiting
  return {
    offered: before.written,
    beforePipeline: replaced + (gone ? before.waiting : 0),
    failed: failed + (gone ? inPipeline : 0),
    accepted,
    inside: gone ? 0 : before.waiting + inPipeline,
    afterPipeline: lost + (gone ? pending : 0),
    pending: gone ? 0 : pending,
    arrived: after.taken,
  }
}

/** `a + sign · b`, field by field, modulo 2^32. */
export function combine(a: FrameCounts, b: FrameCounts, sign: 1 | -1): FrameCounts {
  const sum = { ...a }
  for (const key of Object.keys(sum) as (keyof FrameCounts)[]) sum[key] = difference(a[key] + sign * b[key])
  return sum
}
