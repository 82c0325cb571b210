import { TICKS_PER_SECOND } from '../../core/clock.ts'

/** Keyframe requests of several viewers within this time give one keyframe. */
const MIN_DISTANCE_TICKS = 0.2 * TICKS_PER_SECOND

/** Decides which frames become keyframes: on request, and at the latest after a fixed time. */
export class Keyframes {
  readonly #everyTicks: number
  #wanted = true
  #lastPts = Number.NEGATIVE_INFINITY

  constructor(everySeconds: number) {
    this.#everyTicks = everySeconds * TICKS_PER_SECOND
  }

  request(): void {
    this.#wanted = true
  }

  /** A new encoder starts: its first frame is a keyframe. */
  restart(): void {
    this.#lastPts = Number.NEGATIVE_INFINITY
  }

  /** Whether the frame with this time becomes a keyframe. */
  take(pts: number): boolean {
    const sinceLast = pts - this.#lastPts
    if (sinceLast < this.#everyTicks && !(this.#wanted && sinceLast >= MIN_DISTANCE_TICKS)) return false
    this.#wanted = false
    this.#lastPts = pts
    return true
  }
}
