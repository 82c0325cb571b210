import type { AudioFrame } from '../../../core/media/audio.ts'
import type { Supervisor } from '../supervisor/supervisor.ts'
import type { Observations } from './health.ts'

/** Observes a pipeline by its audio. Times are milliseconds on the clock of `nowMs`. */
export class LeaseAudio {
  /** Output frames dropped for lack of room, over all its runners. */
  lost = 0
  readonly #supervisor: Supervisor
  #lastInputAt: number | undefined
  /** When it last took input or gave output. */
  #lastSignAt: number | undefined
  #owedSince: number | undefined
  #offered = 0
  #taken = 0
  #lostOfRunner = 0

  constructor(supervisor: Supervisor) {
    this.#supervisor = supervisor
  }

  /** False if the pipeline cannot take it. */
  offer(frame: AudioFrame, now: number): boolean {
    this.#lastInputAt = now
    this.#look(now)
    if (!this.#supervisor.audioHost?.writeAudio(frame)) return false
    this.#offered++
    this.#owedSince ??= now
    return true
  }

  /** Call when audio came from the pipeline. */
  arrived(now: number): void {
    this.#lastSignAt = now
  }

  /** For the state of the lease: a pipeline that does not take its audio counts as one without output. */
  observe(now: number, takesVideo: boolean, videoOwedMs: number): Partial<Observations> {
    this.#look(now)
    const owedMs = this.#owedSince === undefined ? 0 : now - this.#owedSince
    if (takesVideo) return { owedMs: Math.max(owedMs, videoOwedMs) }
    const { audio } = this.#supervisor.description
    // A pipeline that only gives audio cannot be late.
    const lastOutputAt = audio?.mode === 'give' ? this.#lastInputAt : this.#lastSignAt
    return { lastInputAt: this.#lastInputAt, lastOutputAt, owedMs }
  }

  /** Checks whether it has taken some since the last look. */
  #look(now: number): void {
    const { waiting, lost } = this.#supervisor.audioHost?.audioCounts() ?? { waiting: 0, lost: this.#lostOfRunner }
    // A new runner counts from 0.
    this.lost += lost >= this.#lostOfRunner ? lost - this.#lostOfRunner : lost
    this.#lostOfRunner = lost
    const taken = this.#offered - waiting
    if (waiting === 0) this.#owedSince = undefined
    if (taken <= this.#taken) return
    this.#taken = taken
    this.#lastSignAt = now
    if (waiting > 0) this.#owedSince = now
  }
}
