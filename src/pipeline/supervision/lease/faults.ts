import { nowMs } from '../../../core/clock.ts'
import type { PipelineError } from './events.ts'

/** Between two errors about frames that the pipeline cannot take. */
const REFUSAL_MS = 1000

/** Errors of one stream's pipeline, and their reporting. */
export class Faults {
  last: PipelineError | undefined
  /** On the clock of `nowMs`. */
  lastAt: number | undefined
  readonly #tell: (error: PipelineError) => void
  /** Frames that could not be offered since the last report. */
  #refusals = 0
  #refusedAt = Number.NEGATIVE_INFINITY

  constructor(tell: (error: PipelineError) => void) {
    this.#tell = tell
  }

  note(error: Omit<PipelineError, 'time'>): void {
    const { message, during, count } = error
    this.last = { message, during, count, time: Date.now() }
    this.lastAt = nowMs()
    this.#tell(this.last)
  }

  /** Records a frame that it cannot take. Reported at most once a second, because it may concern every frame. */
  refuse(problem: string): void {
    this.#refusals++
    const now = nowMs()
    if (now - this.#refusedAt < REFUSAL_MS) return
    this.note({ message: problem, during: 'input', count: this.#refusals })
    this.#refusedAt = now
    this.#refusals = 0
  }
}
