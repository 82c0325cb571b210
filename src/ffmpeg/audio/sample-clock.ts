import { TICKS_PER_SECOND } from '../../core/clock.ts'

/** From `inner` on, a time inside ffmpeg is `offset` more than the stream's. */
type Span = { inner: number; offset: number }

const MAX_STEP_FORWARD = 10 * TICKS_PER_SECOND
const MAX_STEP_BACK = TICKS_PER_SECOND / 2
// Room below the first time stamp for the coder's delay, and between the audio before and after a jump.
const MARGIN = TICKS_PER_SECOND
const MAX_SPANS = 16

/** Keeps an audio track's time through ffmpeg, which needs time stamps that begin near zero and do not jump. */
export class SampleClock {
  readonly #spans: Span[] = []
  #lastPts = 0
  #highest = 0

  /** The time stamp for ffmpeg, at least 0. `pts` is in 90 kHz ticks. */
  enter(pts: number): number {
    const step = pts - this.#lastPts
    if (this.#spans.length === 0) this.#begin(MARGIN, pts)
    else if (step > MAX_STEP_FORWARD || step < -MAX_STEP_BACK) this.#begin(this.#highest + MARGIN, pts)
    this.#lastPts = pts
    const inner = Math.max(0, pts + this.#spans.at(-1)!.offset)
    this.#highest = Math.max(this.#highest, inner)
    return inner
  }

  /** The stream's time for a time inside ffmpeg, rounded to whole ticks. */
  leave(inner: number): number {
    // Half the margin is for audio that a coder holds back: it stamps its first output before its first input.
    const span = this.#spans.findLast((candidate) => candidate.inner - MARGIN / 2 <= inner) ?? this.#spans[0]
    return Math.round(inner - (span?.offset ?? 0))
  }

  #begin(inner: number, pts: number): void {
    this.#spans.push({ inner, offset: inner - pts })
    if (this.#spans.length > MAX_SPANS) this.#spans.shift()
  }
}
