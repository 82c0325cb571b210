import { type Colour, sameColour } from '../../core/media/colour.ts'
import { sameShape, type VideoFrame } from '../../core/media/frame.ts'
import { sleep } from '../../core/resource.ts'
import type { VideoEncoder } from '../../ffmpeg/encoder/encoder.ts'

const MAX_PARKED = 4
/** A parked encoder that is not needed within this time is closed. */
const KEPT_MS = 10_000
/** Time limit for the last packets of a parked encoder. */
const DRAIN_MS = 1500

/**
 * Encoders for recent frame sizes and formats. A source that changes its resolution often alternates between a few, and
 * starting an encoder for each change would take longer than the change lasts.
 */
export class ParkedEncoders {
  readonly #parked = new Map<VideoEncoder, NodeJS.Timeout>()
  readonly #retire: (encoder: VideoEncoder) => unknown

  /** `retire` takes those that are not kept. */
  constructor(retire: (encoder: VideoEncoder) => unknown) {
    this.#retire = retire
  }

  /** Frames that they dropped. */
  get dropped(): number {
    return [...this.#parked.keys()].reduce((sum, { dropped }) => sum + dropped, 0)
  }

  /** Resolves when its last packet has come out. */
  async park(encoder: VideoEncoder): Promise<void> {
    const drained = await Promise.race([encoder.drained().then(() => true), sleep(DRAIN_MS).then(() => false)])
    if (!drained) {
      this.#retire(encoder)
      return
    }
    this.#parked.set(
      encoder,
      setTimeout(() => this.#drop(encoder), KEPT_MS),
    )
    void encoder.closed.then(() => this.#forget(encoder))
    const [oldest] = this.#parked.keys()
    if (oldest && this.#parked.size > MAX_PARKED) this.#drop(oldest)
  }

  /** Takes out the encoder for such frames, if there is one. */
  take(frame: VideoFrame, colour: Colour): VideoEncoder | undefined {
    for (const encoder of this.#parked.keys()) {
      if (!sameShape(encoder.shape, frame) || !sameColour(encoder.colour, colour)) continue
      this.#forget(encoder)
      return encoder
    }
    return undefined
  }

  /** Drops all: the settings that they were opened with have changed. */
  clear(): void {
    for (const encoder of [...this.#parked.keys()]) this.#drop(encoder)
  }

  #drop(encoder: VideoEncoder): void {
    if (this.#forget(encoder)) this.#retire(encoder)
  }

  #forget(encoder: VideoEncoder): boolean {
    clearTimeout(this.#parked.get(encoder))
    return this.#parked.delete(encoder)
  }
}
