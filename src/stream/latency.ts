import { nowMs } from '../core/clock.ts'
import { LatencyMeter, type Percentiles } from '../core/counters.ts'

const STAGES = ['decode', 'pipeline', 'encode', 'total'] as const
export type Stage = (typeof STAGES)[number]
export type LatencyReport = Record<Stage, Percentiles>

type Marks = { arrived: number; decoded?: number; processed?: number }

/** With more frames in flight than this, a stage has lost some. */
const MAX_IN_FLIGHT = 512

/** Follows each frame by `pts` from the arrival of its last bytes to the first byte of its encoded output. */
export class LatencyTracker {
  readonly #marks = new Map<number, Marks>()
  readonly #meters = Object.fromEntries(STAGES.map((stage) => [stage, new LatencyMeter()])) as Record<
    Stage,
    LatencyMeter
  >

  arrived(pts: number): void {
    this.#marks.set(pts, { arrived: nowMs() })
    if (this.#marks.size > MAX_IN_FLIGHT) {
      const oldest = this.#marks.keys().next().value
      if (oldest !== undefined) this.#marks.delete(oldest)
    }
  }

  decoded(pts: number): void {
    const marks = this.#marks.get(pts)
    if (!marks) return
    marks.decoded = nowMs()
    this.#meters.decode.add(marks.decoded - marks.arrived)
  }

  processed(pts: number): void {
    const marks = this.#marks.get(pts)
    if (marks?.decoded === undefined) return
    marks.processed = nowMs()
    this.#meters.pipeline.add(marks.processed - marks.decoded)
  }

  encoded(pts: number): void {
    const marks = this.#marks.get(pts)
    if (!marks) return
    this.#marks.delete(pts)
    // An overlay frame has no processed mark and says nothing about the pipeline.
    if (marks.processed === undefined) return
    const now = nowMs()
    this.#meters.encode.add(now - marks.processed)
    this.#meters.total.add(now - marks.arrived)
  }

  /** In milliseconds, over the newest 600 frames. */
  report(): LatencyReport {
    return Object.fromEntries(STAGES.map((stage) => [stage, this.#meters[stage].percentiles()])) as LatencyReport
  }
}
