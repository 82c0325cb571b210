import { setImmediate as turn } from 'node:timers/promises'
import { AppError } from '../core/errors.ts'
import { type AudioFrame, audioTicks } from '../core/media/audio.ts'
import { sleep } from '../core/resource.ts'
import type { PipelineHost } from '../pipeline/host/host.ts'

type Limits = {
  /** For messages. */
  name: string
  /** Time limit. */
  ms: number
  /** Throws if the pipeline is gone. */
  check(): void
}

/** Less than a frame, for rounding. */
const SLACK_TICKS = 90

/** The audio of a pipeline that is stepped through its input. */
export class StepperAudio {
  /** On the clock of `performance.now`. */
  lastOutputAt = Number.NEGATIVE_INFINITY
  readonly #host: PipelineHost
  readonly #outputs: AudioFrame[] = []
  #fault: string | undefined
  /** Ticks of audio given, and returned. */
  #given = 0
  #got = 0

  constructor(host: PipelineHost) {
    this.#host = host
    host.onAudio = ({ frame }) => {
      this.lastOutputAt = performance.now()
      this.#got += audioTicks(frame)
      this.#outputs.push(frame)
    }
  }

  /** Whether output of given audio is still to come. */
  get owed(): boolean {
    const { audio } = this.#host.description
    return audio !== undefined && audio.mode !== 'listen' && this.#got + SLACK_TICKS < this.#given
  }

  /** Resolves when the pipeline has taken it. */
  async put(frame: AudioFrame, { name, ms, check }: Limits): Promise<void> {
    const began = performance.now()
    this.#given += audioTicks(frame)
    this.#host.writeAudio(frame)
    for (let look = 0; this.#host.audioCounts().waiting > 0; look++) {
      check()
      if (performance.now() - began > ms)
        throw new AppError('timeout', `${name}: the pipeline did not take it within ${ms / 1000} s`)
      if (look < 50) await turn()
      else await sleep(1)
    }
    check()
    const { lost } = this.#host.audioCounts()
    if (lost > 0) throw new AppError('pipeline-failed', `${name}: the pipeline returned audio too fast`)
  }

  /** It threw on audio. */
  failed(message: string): void {
    this.#fault = message
  }

  takeFault(): string | undefined {
    const fault = this.#fault
    this.#fault = undefined
    return fault
  }

  /** Output so far, in order. */
  take(): AudioFrame[] {
    return this.#outputs.splice(0)
  }
}
