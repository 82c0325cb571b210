import { nowMs } from '../../../core/clock.ts'
import { AppError } from '../../../core/errors.ts'
import type { Supervisor } from '../supervisor/supervisor.ts'
import type { LeaseAudio } from './audio.ts'
import type { Faults } from './faults.ts'
import type { LeaseFrames } from './frames.ts'
import { assess, type Observations, type PipelineState, type Thresholds } from './health.ts'

export type StateWatchOptions = {
  supervisor: Supervisor
  thresholds: Thresholds
  frames: LeaseFrames
  audio: LeaseAudio
  faults: Faults
  /** Time of the last change of params, on the clock of `nowMs`. */
  lastParamsAt(): number | undefined
  /** The lease is being closed: nothing is restarted for it. */
  closing(): boolean
  onState(change: { state: PipelineState; previous: PipelineState }): void
}

/** Derives the state of one stream's pipeline from all observations, and restarts the pipeline if necessary. */
export class StateWatch {
  state: PipelineState = 'LOADING'
  readonly #options: StateWatchOptions
  readonly #startedAt = nowMs()

  constructor(options: StateWatchOptions) {
    this.#options = options
  }

  assess(): void {
    const { supervisor, thresholds, frames, closing, onState } = this.#options
    const now = nowMs()
    frames.noteStall(now)
    const verdict = assess(this.#observe(now), now, thresholds)
    if (verdict.restart && !closing()) {
      const what = verdict.restart === 'no-output' ? 'stopped giving outputs' : 'did not load in time'
      // The state changes with the restart: ERROR is for pipelines that are given up.
      supervisor.restart(new AppError('pipeline-failed', `${supervisor.entry.name} ${what}`))
      return
    }
    if (verdict.state === this.state) return
    const previous = this.state
    this.state = verdict.state
    onState({ state: verdict.state, previous })
  }

  #observe(now: number): Observations {
    const { supervisor, frames, audio, faults, lastParamsAt } = this.#options
    const { lastRestartAt } = supervisor
    return {
      failed: supervisor.status.phase === 'failed',
      ready: supervisor.ready,
      streaming: true,
      held: frames.held(now),
      processStartedAt: supervisor.processStartedAt,
      readyAt: supervisor.readyAt,
      // For a stage, outputs are due from the first frame after those that passed it over.
      streamStartedAt: Math.max(this.#startedAt, frames.passedOverAt),
      lastInputAt: frames.meter.lastInputAt,
      lastOutputAt: frames.meter.lastOutputAt,
      lastParamsAt: lastParamsAt(),
      lastErrorAt: faults.lastAt,
      lastRestartAt: lastRestartAt !== undefined && lastRestartAt > this.#startedAt ? lastRestartAt : undefined,
      ...frames.meter.knownRates(now),
      ...audio.observe(now, supervisor.description.video, frames.owedMs(now)),
    }
  }
}
