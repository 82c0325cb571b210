import { TICKS_PER_SECOND } from '../../core/clock.ts'
import { AppError } from '../../core/errors.ts'
import { type AudioFrame, audioTicks } from '../../core/media/audio.ts'
import type { Context } from '../../core/resource.ts'
import type { FfmpegProgram } from '../../ffmpeg/binary.ts'
import { FileAudioSource } from '../../ffmpeg/file/audio-source.ts'
import { AudioSplice } from '../../stream/audio/splice.ts'
import { secondsOf } from '../stepper.ts'
import type { StepperChain } from '../stepper-chain.ts'

export type RunAudioOptions = {
  ffmpeg: FfmpegProgram
  stepper: StepperChain
  /** ffmpeg's arguments up to and including `-i INPUT`; undefined if it has no audio. */
  input?: readonly string[] | undefined
  /** Whether damaged data ends the run. */
  strict: boolean
  /** Takes the output audio, without gaps; not called if the pipeline only listens. */
  write(frame: AudioFrame): Promise<void>
  /** The pipeline threw on audio. Throws to end the run. */
  onFault(message: string): void
}

/**
 * Output that comes later than this after its time is replaced by the input; as in a live stream, no output is longer.
 */
const PATIENCE_TICKS = 10 * TICKS_PER_SECOND

/** A file's audio through a pipeline, in step with the frames. */
export class RunAudio implements AsyncDisposable {
  readonly #options: RunAudioOptions
  readonly #source: FileAudioSource | undefined
  readonly #frames: AsyncGenerator<AudioFrame, void> | undefined
  readonly #made: AudioFrame[] = []
  readonly #splice = new AudioSplice((frame) => this.#made.push(frame))
  readonly #mode: 'process' | 'listen' | 'give'
  #next: AudioFrame | undefined
  #ended = false
  /** End of the input that was put in. */
  #taken = 0
  /** The time reached, also where there is no input, and the end of the audio that is out. */
  #put = 0
  #out = 0

  private constructor(options: RunAudioOptions, source: FileAudioSource | undefined) {
    this.#options = options
    this.#mode = options.stepper.audio!.mode
    this.#source = source
    this.#frames = source?.frames()
  }

  /** Undefined if audio passes around the pipeline. */
  static async open(options: RunAudioOptions, context: Context): Promise<RunAudio | undefined> {
    const { stepper, ffmpeg, input, strict } = options
    if (!stepper.audio) return undefined
    const { mode, frameMs, channels } = stepper.audio
    const wanted = input && (mode !== 'give' || stepper.listens)
    const source = wanted
      ? await FileAudioSource.open({ ffmpeg, input, frameMs, channels, strict }, context)
      : undefined
    return new RunAudio(options, source)
  }

  /** Whether all input has been put in. */
  get ended(): boolean {
    return this.#ended
  }

  /** Seconds of audio put in so far. */
  get seconds(): number {
    return secondsOf(this.#taken)
  }

  /** Audio frames that left unchanged although the pipeline had them. */
  get unprocessed(): number {
    return this.#splice.unprocessed
  }

  /** Puts in the audio up to this time, in 90 kHz ticks. */
  async upTo(pts: number): Promise<void> {
    const { stepper } = this.#options
    while (!this.#ended) {
      this.#next ??= await this.#decoded()
      const frame = this.#next
      if (!frame) this.#ended = true
      if (!frame || frame.pts > pts) break
      this.#next = undefined
      this.#put = this.#taken = frame.pts + audioTicks(frame)
      if (this.#mode === 'process') this.#splice.input(frame, this, 0)
      this.#fault(await stepper.putAudio(frame))
      await this.#take()
    }
    this.#put = Math.max(this.#put, Number.isFinite(pts) ? pts : 0)
    await this.#take()
  }

  /** Resolves when the rest is out. */
  async finish(): Promise<void> {
    const { stepper } = this.#options
    // Output of one stage of a chain goes into the next.
    for (let stage = 0; stage < stepper.length; stage++) {
      await stepper.settled()
      await this.#take()
    }
    this.#splice.flush()
    await this.#write()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#source?.[Symbol.asyncDispose]()
  }

  async #decoded(): Promise<AudioFrame | undefined> {
    try {
      return (await this.#frames?.next())?.value ?? undefined
    } catch (thrown) {
      const { message, details } = AppError.from(thrown)
      const text = `${nameOf(this.#taken)}: INPUT cannot be decoded after it: ${message}`
      throw new AppError('unsupported-media', text, details && { details })
    }
  }

  async #take(): Promise<void> {
    const { frames, fault } = await this.#options.stepper.takeAudio()
    this.#fault(fault)
    if (this.#mode === 'listen') return
    for (const frame of frames) {
      if (frame.pts > this.#put + PATIENCE_TICKS)
        throw new AppError('pipeline-failed', `${nameOf(frame.pts)} is more than 10 s ahead of what was put in`)
      this.#splice.output(frame, this, 0)
    }
    // A pipeline without output must not delay all audio until the end of a film.
    if (this.#put - this.#out > PATIENCE_TICKS) this.#splice.abandon(this)
    await this.#write()
  }

  async #write(): Promise<void> {
    for (const frame of this.#made.splice(0)) {
      this.#out = frame.pts + audioTicks(frame)
      await this.#options.write(frame)
    }
  }

  #fault(message: string | undefined): void {
    if (message !== undefined) this.#options.onFault(`${nameOf(this.#put)}: ${message}`)
  }
}

function nameOf(ticks: number): string {
  return `audio up to ${secondsOf(ticks).toFixed(3)} s`
}
