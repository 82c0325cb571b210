import { setImmediate as turn } from 'node:timers/promises'
import type { AudioFrame } from '../core/media/audio.ts'
import { frameBytes, sameShape, type VideoFrame } from '../core/media/frame.ts'
import { giveBack } from '../core/media/frame-pool.ts'
import { type Context, sleep } from '../core/resource.ts'
import type { PipelineEntry } from '../pipeline/catalog/entry.ts'
import { PixelConverter } from '../pipeline/convert/pixels.ts'
import type { Description, Values } from '../pipeline/protocol.ts'
import { chainAudio } from '../pipeline/supervision/chain/audio.ts'
import type { WantedInput } from '../pipeline/supervision/lease/input-form.ts'
import { type BrokenFrame, Stepper, type StepperOptions } from './stepper.ts'

/** One pipeline of a chain, or the only one. */
export type CliStage = { key: string; entry: PipelineEntry; params: Values }

export type ChainOptions = Omit<StepperOptions, 'entry' | 'params'> & {
  stages: readonly CliStage[]
  /** MatrixCoefficients (ITU-T H.273) of the frames, for stages that need a conversion; default BT.601. */
  matrix?: number
}

const BT601 = 6
/** Some pipelines return less audio than they get, or much later. */
const ANSWER_MS = 100

type Stage = { key: string; stepper: Stepper }

/** One pipeline or several in order: each frame passes all of them before the next one is taken. */
export class StepperChain implements AsyncDisposable {
  /** Its audio spec; undefined if audio passes around it. */
  readonly audio: Description['audio']
  readonly #stages: readonly Stage[]
  /** Frames pass around the others. */
  readonly #video: readonly Stage[]
  readonly #matrix: number
  readonly #converter = new PixelConverter()
  /** Frames that passed around all of them. */
  #around: VideoFrame[] = []

  private constructor(stages: readonly Stage[], matrix: number) {
    this.#stages = stages
    this.#video = stages.filter(({ stepper }) => stepper.description.video)
    this.audio = chainAudio(stages.map(({ key, stepper }) => ({ key, audio: stepper.description.audio })))
    this.#matrix = matrix
  }

  /** Resolves when all are loaded. Rejects like `Stepper.open`, and leaves nothing behind. */
  static async open({ stages, matrix = BT601, ...options }: ChainOptions, context: Context): Promise<StepperChain> {
    const opened: Stage[] = []
    try {
      for (const { key, entry, params } of stages)
        opened.push({ key, stepper: await Stepper.open({ ...options, entry, params }, context) })
      return new StepperChain(opened, matrix)
    } catch (thrown) {
      for (const { stepper } of opened) await stepper[Symbol.asyncDispose]()
      throw thrown
    }
  }

  /** False if all process audio only. */
  get takesVideo(): boolean {
    return this.#video.length > 0
  }

  /** Whether any of them takes input audio. */
  get listens(): boolean {
    return this.#stages.some(({ stepper: { description } }) => (description.audio?.mode ?? 'give') !== 'give')
  }

  get length(): number {
    return this.#stages.length
  }

  /** Sum in milliseconds. */
  get loadMs(): number {
    return this.#stages.reduce((sum, { stepper }) => sum + stepper.loadMs, 0)
  }

  /** The input form of the first one. */
  get input(): WantedInput {
    return this.#video[0]?.stepper.input ?? {}
  }

  get pids(): number[] {
    return this.#stages.map(({ stepper }) => stepper.pid)
  }

  /** Like `Stepper.put`, through all of them; `ms` is the sum. */
  async put(frame: VideoFrame, number: number, seconds: number): Promise<{ ms: number; broken?: BrokenFrame }> {
    if (!this.takesVideo) {
      this.#around.push(frame)
      return { ms: 0 }
    }
    const put = await this.#put(0, frame, number, seconds)
    if (put.broken) return put
    let { ms } = put
    for (let at = 0; at < this.#video.length - 1; at++) {
      const passed = await this.#passOn(at, number, seconds)
      ms += passed.ms
      if (passed.broken) return { ms, broken: passed.broken }
    }
    return { ms }
  }

  /** New outputs of the last one, oldest first. */
  take(): VideoFrame[] {
    return this.#video.at(-1)?.stepper.take() ?? this.#around.splice(0)
  }

  /** Resolves when all that take audio have it, with the reason if one of them threw so far. */
  async putAudio(frame: AudioFrame): Promise<string | undefined> {
    return (await this.#putAudio(frame, 0)).fault
  }

  /** New output audio in order; the output of one goes through those behind it. */
  async takeAudio(): Promise<{ frames: AudioFrame[]; fault?: string }> {
    const frames: AudioFrame[] = []
    let fault: string | undefined
    for (const [at, { stepper }] of this.#stages.entries()) {
      for (const frame of stepper.audio.take()) {
        const passed = await this.#putAudio(frame, at + 1)
        if (!passed.taken) frames.push(frame)
        fault ??= passed.fault
      }
    }
    return { frames, ...(fault !== undefined && { fault }) }
  }

  /** Like `takeAudio`, when all audio that was put in has come out, or after a while. */
  async answeredAudio(): Promise<{ fault?: string }> {
    const until = performance.now() + ANSWER_MS
    let fault: string | undefined
    for (let look = 0; ; look++) {
      fault ??= (await this.takeAudio()).fault
      const owed = this.#stages.some(({ stepper }) => stepper.audio.owed)
      if (!owed || fault !== undefined || performance.now() > until) return fault === undefined ? {} : { fault }
      if (look < 50) await turn()
      else await sleep(1)
    }
  }

  /** Resolves when no output has come for a while. */
  async settled(): Promise<void> {
    for (const stage of this.#stages) {
      await stage.stepper.settled()
      const at = this.#video.indexOf(stage)
      if (at >= 0 && at < this.#video.length - 1) await this.#passOn(at, 0, 0)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { stepper } of this.#stages) {
      for (const { data } of stepper.take()) giveBack(data)
      await stepper[Symbol.asyncDispose]()
    }
  }

  /** `taken`: by a stage that outputs audio; those that listen get a copy on the way. */
  async #putAudio(frame: AudioFrame, from: number): Promise<{ taken: boolean; fault?: string }> {
    let fault: string | undefined
    for (const { key, stepper } of this.#stages.slice(from)) {
      const mode = stepper.description.audio?.mode
      if (mode !== 'process' && mode !== 'listen') continue
      const told = await stepper.putAudio(frame)
      if (told !== undefined) fault ??= this.#stages.length > 1 ? `${key}: ${told}` : told
      if (mode === 'process') return { taken: true, ...(fault !== undefined && { fault }) }
    }
    return { taken: false, ...(fault !== undefined && { fault }) }
  }

  /** Passes the outputs of one to the next. */
  async #passOn(at: number, number: number, seconds: number): Promise<{ ms: number; broken?: BrokenFrame }> {
    let ms = 0
    const outputs = this.#video[at]!.stepper.take()
    for (const [index, output] of outputs.entries()) {
      const put = await this.#put(at + 1, this.#fitted(output, this.#video[at + 1]!.stepper.input), number, seconds)
      giveBack(output.data)
      ms += put.ms
      if (!put.broken) continue
      for (const { data } of outputs.slice(index + 1)) giveBack(data)
      return { ms, broken: put.broken }
    }
    return { ms }
  }

  async #put(at: number, frame: VideoFrame, number: number, seconds: number) {
    const { key, stepper } = this.#video[at]!
    const { ms, broken } = await stepper.put(frame, number, seconds)
    if (!broken || this.#stages.length === 1) return { ms, ...(broken && { broken }) }
    return { ms, broken: { ...broken, message: `${key}: ${broken.message}` } }
  }

  #fitted(frame: VideoFrame, { format = 'yuv420p', width, height }: WantedInput): VideoFrame {
    const form = { format, width: width ?? frame.width, height: height ?? frame.height }
    if (sameShape(form, frame)) return frame
    const data = new Uint8Array(frameBytes(form.format, form.width, form.height))
    this.#converter.convert(frame, { ...form, data }, this.#matrix)
    return { ...form, data, pts: frame.pts }
  }
}
