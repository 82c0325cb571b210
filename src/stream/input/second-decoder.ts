import { nowMs } from '../../core/clock.ts'
import type { VideoFrame } from '../../core/media/frame.ts'
import type { FrameMemory } from '../../core/media/frame-pool.ts'
import { FpsLimit } from './fps-limit.ts'

export type SecondDecoderOptions = {
  maxFps: number
  /** Time of the newest frame of the decoder in use. */
  reached(): number
  onFrame(frame: VideoFrame): void
  /** Takes back the memory of frames that are not passed on. */
  memory: FrameMemory
  /** The clock, in milliseconds. */
  now?: () => number
}

/**
 * After this long it counts as caught up: a machine that cannot decode twice in real time would wait for ever, and
 * decodes once when this decoder is in use.
 */
const CATCH_UP_MS = 2500

/**
 * Decodes the same packets in another form, for a pipeline that is about to take over: frames from where the decoder in
 * use is, until this one is in use itself.
 */
export class SecondDecoder {
  readonly limit: FpsLimit
  /** Time of its newest frame. */
  newest = Number.NEGATIVE_INFINITY
  readonly #options: SecondDecoderOptions
  #caughtUp = false
  #since: number | undefined

  constructor(options: SecondDecoderOptions) {
    this.#options = options
    this.limit = new FpsLimit(options.maxFps)
  }

  decoded(frame: VideoFrame): void {
    const { reached, onFrame, memory, now = nowMs } = this.#options
    this.#since ??= now()
    this.#caughtUp ||= frame.pts >= reached() || now() - this.#since > CATCH_UP_MS
    if (!this.#caughtUp || frame.pts <= this.newest) {
      memory.give(frame.data)
      return
    }
    this.newest = frame.pts
    if (this.limit.isTooFast(frame.pts)) memory.give(frame.data)
    else onFrame(frame)
  }
}
