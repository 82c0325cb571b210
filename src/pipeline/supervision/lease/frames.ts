import { nowMs } from '../../../core/clock.ts'
import type { VideoFrame } from '../../../core/media/frame.ts'
import { giveBack } from '../../../core/media/frame-pool.ts'
import { type EpochFrame, slotProblem } from '../../ring/frame-ring.ts'
import type { Supervisor } from '../supervisor/supervisor.ts'
import type { Faults } from './faults.ts'
import { inputProblem, isOtherSize, type WantedInput } from './input-form.ts'
import { LeaseMeter } from './meter.ts'
import { OutputGate } from './output-gate.ts'
import { StallWatch } from './stall-watch.ts'

/** For this long after a change of params, frames of another resolution are no error. */
const FOLLOW_MS = 5000
/** A stage counts as held while frames have passed it over within this time. */
const HELD_MS = 1000

export type LeaseFramesOptions = {
  supervisor: Supervisor
  faults: Faults
  /** The form that the pipeline takes now. */
  input(): WantedInput
  /** Time of the last change of params, on the clock of `nowMs`. */
  lastParamsAt(): number | undefined
  /** The pipeline stalls, or gives outputs again. */
  onStall(): void
}

/** One stream's frames to the pipeline and back: which may pass, and whether outputs come in time. */
export class LeaseFrames {
  readonly meter = new LeaseMeter()
  /**
   * Since when the pipeline has had frames without giving output, on the clock of `nowMs`; undefined while it works.
   */
  stalledSince: number | undefined
  /** When a frame last passed the pipeline over, on the clock of `nowMs`. */
  passedOverAt = Number.NEGATIVE_INFINITY
  readonly #options: LeaseFramesOptions
  readonly #supervisor: Supervisor
  readonly #gate = new OutputGate()
  readonly #stall = new StallWatch()

  constructor(options: LeaseFramesOptions) {
    this.#options = options
    this.#supervisor = options.supervisor
  }

  /** See `PipelineLease.offer`. */
  offer(frame: VideoFrame): boolean {
    const { faults, input, lastParamsAt } = this.#options
    const now = nowMs()
    this.meter.input(frame.pts, now)
    if (!this.#supervisor.ready) {
      this.#gate.replaced(frame.pts)
      return false
    }
    // The decoder follows the params: its last frames of the old resolution are skipped.
    if (now - (lastParamsAt() ?? Number.NEGATIVE_INFINITY) < FOLLOW_MS && isOtherSize(input(), frame)) return true
    const problem = inputProblem(this.#supervisor.entry.name, input(), frame)
    if (problem !== undefined) {
      faults.refuse(problem)
      this.#gate.replaced(frame.pts)
      return false
    }
    this.#offered(frame.pts, now)
    if (this.stalledSince === undefined) {
      this.#supervisor.write(frame)
      return true
    }
    // A stalled pipeline keeps getting frames: the newest waits for its recovery.
    this.#supervisor.write({ ...frame, data: frame.data.slice() })
    this.#gate.replaced(frame.pts)
    return false
  }

  /** See `PipelineLease.forward`. */
  forward(frame: VideoFrame): boolean {
    const now = nowMs()
    this.meter.input(frame.pts, now)
    if (!this.#supervisor.ready || slotProblem(frame) !== undefined) return false
    this.#offered(frame.pts, now)
    this.#supervisor.write(frame)
    return true
  }

  /** Something was drawn for a frame with this time: no output up to it is delivered any more. */
  replaced(pts: number): void {
    this.#gate.replaced(pts)
  }

  /** See `PipelineLease.passOver`. */
  passOver(pts: number): void {
    this.passedOverAt = nowMs()
    this.meter.input(pts, this.passedOverAt)
    this.#gate.replaced(pts)
  }

  /** True if an output may go to the stream; otherwise its memory is returned. */
  receive(output: EpochFrame): boolean {
    const now = nowMs()
    this.#stall.arrived(now)
    this.noteStall(now)
    const refusal = this.#gate.refusal(output, this.#supervisor.epoch)
    if (refusal === undefined) {
      this.meter.output(output.frame.pts, now)
      return true
    }
    giveBack(output.frame.data)
    if (refusal) this.#options.faults.note({ message: refusal, during: 'output', count: 1 })
    return false
  }

  /** The pipeline restarts, or has loaded: no output is due. */
  reset(): void {
    this.#stall.reset()
    this.stalledSince = undefined
  }

  noteStall(now: number): void {
    const stalled = this.#supervisor.ready && this.#stall.stalled(now)
    if (stalled === (this.stalledSince !== undefined)) return
    this.stalledSince = stalled ? now - this.#stall.patienceMs : undefined
    this.#options.onStall()
  }

  /** How long an output has been due, in milliseconds. */
  owedMs(now: number): number {
    return this.#stall.owedMs(now)
  }

  /** Whether frames pass the pipeline over because another stage of its chain can take none. */
  held(now: number): boolean {
    return now - this.passedOverAt < HELD_MS
  }

  #offered(pts: number, now: number): void {
    this.#gate.offered(pts)
    this.#stall.offered(now)
    this.meter.offered(pts, now)
    this.noteStall(now)
  }
}
