import { TICKS_PER_SECOND } from '../../core/clock.ts'
import { LatencyMeter } from '../../core/counters.ts'
import { type AudioFrame, audioTicks, inStereo } from '../../core/media/audio.ts'
import { silence, trimAfter, trimBefore } from './pcm-cutter.ts'

/** Minimum time to wait for an output, in milliseconds: twice the pipeline's usual latency, within these two limits. */
const SHORTEST_MS = 500
const LONGEST_MS = 4000
/** Number of output latencies remembered. */
const MEMORY = 16
/** Number of offer times remembered: more than the frames that a pipeline can hold. */
const MAX_OFFERED = 1024
/** Outputs that wait for those of the previous pipeline. */
const MAX_AHEAD = 64
/** A longer gap before an output is not filled with silence. */
const MAX_GAP_TICKS = TICKS_PER_SECOND
/** A shorter gap is rounding of time stamps. */
const MIN_GAP_TICKS = TICKS_PER_SECOND / 1000

/** A pipeline, compared by identity. */
type By = object

type Entry = { frame: AudioFrame; by: By | undefined; at: number }

/**
 * Audio through a pipeline as one sequence without gaps: its outputs in their places, and the input wherever it gives
 * none, because it is not running, threw, skipped a frame, or takes too long. Times are milliseconds on one clock.
 */
export class AudioSplice {
  /** Frames that left unchanged although the pipeline had them, and outputs that came too late. */
  unprocessed = 0
  late = 0
  /** Pipeline outputs that left. */
  processed = 0
  readonly #emit: (frame: AudioFrame) => void
  readonly #latency = new LatencyMeter()
  #entries: Entry[] = []
  #ahead: { frame: AudioFrame; by: By }[] = []
  #offered: { pts: number; at: number }[] = []
  #usual: number[] = []
  #stalled = false
  /** End of the audio that has left. */
  #until: number | undefined

  /**
   * `emit` gets stereo frames, each starting where the previous one ended, or later after a gap of more than a second.
   */
  constructor(emit: (frame: AudioFrame) => void) {
    this.#emit = emit
  }

  /** Takes an input frame; `by` is the pipeline that got it, undefined if it is to leave unchanged. */
  input(frame: AudioFrame, by: By | undefined, now: number): void {
    if (by) {
      this.#offered.push({ pts: frame.pts, at: now })
      if (this.#offered.length > MAX_OFFERED) this.#offered.shift()
      if (this.#stalled) this.unprocessed++
    }
    this.#entries.push({ frame, by: this.#stalled ? undefined : by, at: now })
    this.#settle()
  }

  /** Takes an output of a pipeline. */
  output(frame: AudioFrame, by: By, now: number): void {
    this.#learn(frame, now)
    this.#stalled = false
    this.#ahead.push({ frame, by })
    if (this.#ahead.length > MAX_AHEAD) this.#release(this.#entries[0]?.by)
    this.#settle()
  }

  /** Whether outputs of that pipeline still have a place. */
  waitsFor(by: By): boolean {
    return this.#entries.some((entry) => entry.by === by)
  }

  /** The pipeline will output nothing more: the frames that it has leave unchanged. */
  abandon(by: By | undefined): void {
    this.#release(by)
    this.#stalled = false
    this.#settle()
  }

  /** Call regularly: ends waits that take too long. */
  check(now: number): void {
    const [first] = this.#entries
    if (!first?.by || now - first.at <= this.#patienceMs) return
    this.#stalled = true
    this.#release(first.by)
    this.#settle()
  }

  /** Outputs everything that waits. */
  flush(): void {
    for (const entry of this.#entries) this.#release(entry.by)
    this.#settle()
  }

  /** Time from input to output of recent frames, in ms. */
  get latencyMs() {
    return this.#latency.percentiles()
  }

  get #patienceMs(): number {
    const usual = Math.max(0, ...this.#usual)
    return Math.min(LONGEST_MS, Math.max(SHORTEST_MS, 2 * usual))
  }

  #learn({ pts }: AudioFrame, now: number): void {
    const offered = this.#offered.findLast((one) => one.pts <= pts)
    // Output without an input has no latency.
    if (!offered || pts - offered.pts >= TICKS_PER_SECOND / 10) return
    this.#latency.add(now - offered.at)
    this.#usual.push(now - offered.at)
    if (this.#usual.length > MEMORY) this.#usual.shift()
  }

  #release(by: By | undefined): void {
    for (const entry of this.#entries) {
      if (!entry.by || entry.by !== by) continue
      entry.by = undefined
      this.unprocessed++
    }
  }

  /** Outputs everything that has nothing left to wait for. */
  #settle(): void {
    for (;;) {
      const [entry] = this.#entries
      // Outputs of the pipeline that is waited for; those of others wait for it.
      const at = entry?.by ? this.#ahead.findIndex(({ by }) => by === entry.by) : 0
      const output = this.#ahead[at]
      if (entry && !entry.by && !(output && output.frame.pts <= entry.frame.pts)) {
        this.#entries.shift()
        this.#leave(entry.frame)
      } else if (output) {
        this.#ahead.splice(at, 1)
        this.#put(output)
      } else return
    }
  }

  #put({ frame, by }: { frame: AudioFrame; by: By }): void {
    const end = endOf(frame)
    if (this.#until !== undefined && end <= this.#until) {
      this.late++
      return
    }
    // The pipeline skipped the frames before it.
    for (let first = this.#entries[0]; first && first.frame.pts < frame.pts; first = this.#entries[0]) {
      if (first.by && first.by !== by) break
      const skipped = trimAfter(first.frame, frame.pts)
      if (skipped) this.#leave(skipped)
      if (endOf(first.frame) > frame.pts) break
      this.#entries.shift()
      if (first.by) this.unprocessed++
    }
    const gap = this.#until === undefined ? 0 : frame.pts - this.#until
    if (gap > MIN_GAP_TICKS && gap <= MAX_GAP_TICKS) this.#leave(silence(this.#until!, gap))
    this.#leave(frame)
    this.processed++
    while (this.#entries[0] && endOf(this.#entries[0].frame) <= end) this.#entries.shift()
  }

  #leave(frame: AudioFrame): void {
    const overlap = (this.#until ?? frame.pts) - frame.pts
    const left = overlap > MIN_GAP_TICKS ? trimBefore(frame, frame.pts + overlap) : frame
    if (!left) return
    this.#until = endOf(left)
    this.#emit(inStereo(left))
  }
}

function endOf(frame: AudioFrame): number {
  return Math.round(frame.pts + audioTicks(frame))
}
