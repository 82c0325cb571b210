import { TICKS_PER_SECOND } from '../../core/clock.ts'
import { sameShape, type VideoFrame } from '../../core/media/frame.ts'
import type { EpochFrame } from '../ring/frame-ring.ts'

type Shape = Omit<VideoFrame, 'data' | 'pts'>

/** A model may look ahead of the newest input a little, by extrapolation. */
const AHEAD_TICKS = TICKS_PER_SECOND

/**
 * Lets through only outputs that can follow what the viewers have seen: of the running load, in one shape while the
 * inputs keep theirs, later than the output before and than any frame drawn instead.
 */
export class OutputGate {
  #shape: Shape | undefined
  #inputShape: Shape | undefined
  /** From this time on inputs have another shape, and outputs may follow. */
  #reshapeFrom: number | undefined
  #floor = Number.NEGATIVE_INFINITY
  #newestInput = Number.NEGATIVE_INFINITY

  /** A frame is on its way through the pipeline. */
  offered(frame: VideoFrame): void {
    this.#newestInput = frame.pts
    if (this.#inputShape && sameShape(this.#inputShape, frame)) return
    if (this.#inputShape) this.#reshapeFrom = frame.pts
    this.#inputShape = shapeOf(frame)
  }

  /** Something else was shown for this time. */
  replaced(pts: number): void {
    this.#floor = Math.max(this.#floor, pts)
  }

  /** Undefined when the frame may pass; else what is wrong with it, '' when it merely came too late. */
  refusal({ frame, epoch }: EpochFrame, current: number): string | undefined {
    const refusal = this.#judge(frame, epoch === current)
    if (refusal === undefined) this.#floor = frame.pts
    return refusal
  }

  #judge(frame: VideoFrame, current: boolean): string | undefined {
    if (!current) return ''
    const reshaped = this.#reshapeFrom !== undefined && frame.pts >= this.#reshapeFrom
    if (!this.#shape || reshaped) {
      this.#shape = shapeOf(frame)
      this.#reshapeFrom = undefined
    }
    if (!sameShape(this.#shape, frame)) return `output of ${shape(frame)} where it was ${shape(this.#shape)}: left out`
    if (frame.pts > this.#newestInput + AHEAD_TICKS)
      return `output with pts ${frame.pts}, more than a second after the newest input ${this.#newestInput}`
    return frame.pts > this.#floor ? undefined : ''
  }
}

function shapeOf({ format, width, height }: VideoFrame): Shape {
  return { format, width, height }
}

function shape({ format, width, height }: Shape): string {
  return `${width}x${height} ${format}`
}
