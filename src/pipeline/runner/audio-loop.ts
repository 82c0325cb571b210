import { setImmediate as turn, setTimeout as wait } from 'node:timers/promises'
import { AudioOutput, audioProblem, inPieces } from '../../sdk/audio/output.ts'
import type { AudioSpec } from '../../sdk/audio/spec.ts'
import type { Pipeline } from '../../sdk/pipeline-class.ts'
import { AUDIO_MAX_SAMPLES } from '../ring/audio-layout.ts'
import { AudioRing } from '../ring/audio-ring.ts'
import type { Doorbell } from '../ring/doorbell.ts'
import type { ErrorReports } from './reports.ts'

/** How long audio waits for room in the ring before it is dropped. */
const PATIENCE_MS = 100
/** Samples of one channel, whatever the number of channels. */
const PIECE_SAMPLES = AUDIO_MAX_SAMPLES / 2

/** What the process loop currently runs; no request id while there is no stream, or it must wait. */
export type Moment = { epoch: number; requestId: string | undefined }

export type AudioLoopParts = {
  pipeline: Pipeline
  spec: Required<AudioSpec>
  buffer: ArrayBuffer
  doorbell: Doorbell
  errors: ErrorReports
  signal: AbortSignal
  moment(): Moment
}

/** Gives a pipeline its audio, beside the frames of the process loop, and takes its output audio. */
export class AudioLoop {
  readonly #parts: AudioLoopParts
  readonly #input: AudioRing
  readonly #output: AudioRing
  #busy: Promise<void> | undefined
  #held = 0
  #wake: (() => void) | undefined

  constructor(parts: AudioLoopParts) {
    this.#parts = parts
    this.#input = new AudioRing(parts.buffer, 'input')
    this.#output = new AudioRing(parts.buffer, 'output')
  }

  /** Runs until the signal aborts. Throws if the shared memory holds invalid audio. */
  async run(): Promise<void> {
    const { signal, pipeline } = this.#parts
    pipeline.outputs.onAudioTally = (what) => {
      if (what === 'lost') this.#output.lose()
    }
    signal.addEventListener('abort', () => this.wake(), { once: true })
    void this.#takeOutputs()
    while (!signal.aborted) {
      if (this.#held > 0 || !(await this.#processNext())) await this.#sleep()
    }
  }

  /** Call when there may be something to do. */
  wake(): void {
    this.#wake?.()
  }

  /** Runs `work` while the pipeline gets no audio. */
  async hold<T>(work: () => Promise<T>): Promise<T> {
    this.#held++
    try {
      await this.#busy
      return await work()
    } finally {
      this.#held--
      this.wake()
    }
  }

  async #sleep(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#wake = resolve
    await promise
    this.#wake = undefined
  }

  /** False if there is none. */
  async #processNext(): Promise<boolean> {
    const taken = this.#input.take()
    if (!taken) return false
    const { epoch, requestId } = this.#parts.moment()
    // From an earlier stream or load: the server has already passed it on unchanged.
    if (requestId === undefined || taken.epoch !== epoch) return true
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#busy = promise
    try {
      await this.#parts.pipeline.putAudioFrame(taken.frame, requestId)
    } catch (thrown) {
      this.#parts.errors.report('putAudioFrame', thrown)
    } finally {
      this.#busy = undefined
      resolve()
    }
    await turn()
    return true
  }

  async #takeOutputs(): Promise<void> {
    const { pipeline, errors, signal } = this.#parts
    while (!signal.aborted) {
      try {
        const output = await pipeline.getProcessedAudioFrame()
        const refusal = this.#refusal(output)
        if (refusal === undefined) await this.#sendOn(output)
        else if (refusal) errors.report('getProcessedAudioFrame', new Error(refusal))
      } catch (thrown) {
        errors.report('getProcessedAudioFrame', thrown)
        await wait(100)
      }
      await turn()
    }
  }

  /** Why an output goes no further: an author's fault, or '' if it merely came too late. */
  #refusal(output: AudioOutput): string | undefined {
    if (!(output instanceof AudioOutput)) return 'it must give an AudioOutput'
    const { requestId } = this.#parts.moment()
    if (requestId === undefined) return ''
    if (output.requestId !== requestId) return `output of request ${output.requestId}, which is not running`
    if (this.#parts.spec.mode === 'listen') return 'this pipeline has audio.mode listen: what it gives is not played'
    // The author may have kept the frame and changed it since.
    return audioProblem(output.frame)
  }

  async #sendOn({ frame }: AudioOutput): Promise<void> {
    const { epoch } = this.#parts.moment()
    for (const piece of inPieces(frame, PIECE_SAMPLES)) {
      const until = performance.now() + PATIENCE_MS
      while (this.#output.full && performance.now() < until) await wait(2)
      this.#output.write(piece, epoch)
      this.#parts.doorbell.ring()
    }
  }
}
