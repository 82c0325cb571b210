import { BurstQueue } from '../../core/burst-queue.ts'
import { nowMs } from '../../core/clock.ts'
import type { VideoFrame } from '../../core/media/frame.ts'

/** Limits of what waits while an encoder opens, in ms and frames. */
const LIMITS = { waitMs: 3000, length: 90, spread: true }
const MAX_BYTES = 128 * 1024 * 1024
/** The backlog is worked off within this time after the encoder opens, so that its delay does not stay. */
const CATCH_UP_MS = 3000

/** Frames for an encoder that is opening, and frames that came since and wait behind them. */
export class WaitingFrames {
  readonly #queue = new BurstQueue<VideoFrame>(LIMITS)
  readonly #giveUp: (frame: VideoFrame) => void
  #dropped = 0
  #until = Number.POSITIVE_INFINITY

  /** `giveUp` takes frames that will not be encoded. */
  constructor(giveUp: (frame: VideoFrame) => void) {
    this.#giveUp = giveUp
  }

  get length(): number {
    return this.#queue.length
  }

  /** Number of dropped frames. */
  get dropped(): number {
    return this.#dropped + this.#queue.dropped
  }

  push(frame: VideoFrame): void {
    while (this.#queue.length > 0 && this.#queue.length * frame.data.length > MAX_BYTES) {
      this.#dropped++
      this.#giveUp(this.#queue.shift()!)
    }
    for (const given of this.#queue.push(frame)) this.#giveUp(given)
  }

  shift(): VideoFrame | undefined {
    return this.#queue.shift()
  }

  /** The encoder is open. */
  opened(): void {
    this.#until = nowMs() + CATCH_UP_MS
  }

  /** True once frames have waited long enough: from then on the encoder drops what it cannot keep up with. */
  get late(): boolean {
    return nowMs() > this.#until
  }
}
