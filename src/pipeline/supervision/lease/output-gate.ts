import { TICKS_PER_SECOND } from '../../../core/clock.ts'
import type { EpochFrame } from '../../ring/frame-ring.ts'

/** A model that extrapolates may output a time slightly ahead of the newest input. */
const AHEAD_TICKS = TICKS_PER_SECOND

/**
 * Lets only outputs pass that can follow what viewers have seen: of the running load, later than the previous output
 * and than any frame drawn instead. Resolution and pixel format may change at any time.
 */
export class OutputGate {
  #floor = Number.NEGATIVE_INFINITY
  #newestInput = Number.NEGATIVE_INFINITY

  /** A frame with this time is going through the pipeline. */
  offered(pts: number): void {
    this.#newestInput = pts
  }

  /** Something else was shown for this time. */
  replaced(pts: number): void {
    this.#floor = Math.max(this.#floor, pts)
  }

  /** Undefined if the frame may pass; otherwise the reason, '' if it merely came too late. */
  refusal({ frame, epoch }: EpochFrame, current: number): string | undefined {
    if (epoch !== current) return ''
    if (frame.pts > this.#newestInput + AHEAD_TICKS)
      return `output with pts ${frame.pts}, more than a second after the newest input ${this.#newestInput}`
    if (frame.pts <= this.#floor) return ''
    this.#floor = frame.pts
    return undefined
  }
}
