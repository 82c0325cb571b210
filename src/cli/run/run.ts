import { TICKS_PER_SECOND } from '../../core/clock.ts'
import { AppError } from '../../core/errors.ts'
import type { AudioFrame } from '../../core/media/audio.ts'
import type { VideoFrame } from '../../core/media/frame.ts'
import { giveBack } from '../../core/media/frame-pool.ts'
import type { Context } from '../../core/resource.ts'
import type { FfmpegProgram } from '../../ffmpeg/binary.ts'
import { audioCodecFor } from '../../ffmpeg/file/audio-sink.ts'
import { type FileFacts, readFileFacts } from '../../ffmpeg/file/facts.ts'
import { checkAudio, codecFor } from '../../ffmpeg/file/sink.ts'
import { FileSource } from '../../ffmpeg/file/source.ts'
import { nameOf, secondsOf } from '../stepper.ts'
import { type CliStage, StepperChain } from '../stepper-chain.ts'
import { RunAudio } from './audio.ts'
import { DataFile } from './data-file.ts'
import { openInput, type Part, type RunInput } from './input.ts'
import { isAudioFile, isRaw, NoOutput, type Output, RunOutput } from './output.ts'
import type { RunReport, RunState, RunSummary } from './report.ts'

export type RunOptions = {
  stages: readonly CliStage[]
  ffmpeg: FfmpegProgram
  modelDir: string
  input: string
  /** Undefined if the outputs are not wanted, but the messages are. */
  output?: string | undefined
  part: Part
  /** Frame rate of a folder of images. */
  fps: number
  /** Skips frames on which the pipeline throws; otherwise the first one ends the run. */
  keepGoing: boolean
  /** Time limit per frame. */
  frameMs: number
  /** File for the pipeline's messages. */
  data?: string | undefined
}

/**
 * Runs a file through a pipeline, every frame in order, as fast as possible. The output file is complete if it exists:
 * after any failure there is none, and the error names the frame.
 */
export async function runFile(options: RunOptions, report: RunReport, context: Context): Promise<RunSummary> {
  const { ffmpeg, stages, modelDir, frameMs, part } = options
  using input = openInput(options.input, part, options.fps)
  if (options.output !== undefined) codecFor(ffmpeg, options.output)
  const facts = await readFileFacts(ffmpeg, input.args, `INPUT ${options.input}`)
  if (part.start !== undefined && facts.seconds !== undefined && part.start >= facts.seconds && input.hasAudio)
    throw new AppError('invalid-request', `--start is ${part.start}, INPUT ${options.input} has ${facts.seconds} s`)
  report.loading(stages.map(({ entry }) => entry.name).join(' and '))
  const onLog = ({ level, message }: { level: string; message: string }) => {
    if (level !== 'debug') report.log(level, message)
  }
  using data = options.data === undefined ? undefined : DataFile.open(options.data)
  const onData = ({ pts, value }: { pts: number; value: unknown }) => data?.write(pts, value)
  const request = { stages, modelDir, frameMs, onLog, onData, matrix: matrixOf(facts) }
  await using stepper = await StepperChain.open(request, context)
  report.loaded(stepper.loadMs)
  const { format = 'yuv420p', width, height } = stepper.input
  const size = width !== undefined && height !== undefined ? { size: { width, height } } : {}
  const strict = !options.keepGoing
  const audioFrom = input.hasAudio && facts.audio.length > 0 ? input.args : undefined
  const audioOnly = worksOnAudioOnly(options, facts, stepper)
  await using output = openOutput(options, { facts, input, stepper, audioFrom, audioOnly }, context)
  await using source = audioOnly
    ? undefined
    : await FileSource.open({ ffmpeg, input: input.args, format, ...size, strict }, context)
  let faults = 0
  const onFault = (message: string) => {
    if (strict) throw new AppError('pipeline-failed', message)
    faults++
    report.log('warn', message)
  }
  const write = (frame: AudioFrame) => output.writeAudio(frame)
  await using audio = await RunAudio.open({ ffmpeg, stepper, input: audioFrom, strict, write, onFault }, context)
  const parts = { stepper, source, output, input, facts, report, audio }
  const summary = await new Run(options, parts, context).toTheEnd()
  data?.finish()
  return { ...summary, broken: summary.broken + faults }
}

/** Whether frames have no part in the run. @throws AppError `invalid-request` if INPUT or OUTPUT does not suit the pipeline. */
function worksOnAudioOnly({ input, output }: RunOptions, facts: FileFacts, stepper: StepperChain): boolean {
  const refused = (why: string) => new AppError('invalid-request', why)
  const [hasVideo, hasAudio] = [facts.width !== undefined, facts.audio.length > 0]
  if (stepper.takesVideo) {
    if (!hasVideo) throw refused(`INPUT ${input} has no video, and the pipeline works on frames`)
    if (output && isAudioFile(output)) throw refused(`OUTPUT ${output} holds audio only, and the pipeline gives frames`)
    return false
  }
  if (!hasAudio) throw refused(`INPUT ${input} has no audio, and the pipeline works on nothing else`)
  const audioOnly = !hasVideo || (output !== undefined && isAudioFile(output))
  if (!audioOnly) return false
  if (output && isRaw(output)) throw refused(`OUTPUT ${output} holds frames only, and INPUT ${input} has none`)
  if (!stepper.listens) throw refused(`INPUT ${input} has no video, and the pipeline takes no audio`)
  return true
}

type OutputParts = {
  facts: FileFacts
  input: RunInput
  stepper: StepperChain
  audioFrom: readonly string[] | undefined
  audioOnly: boolean
}

function openOutput(options: RunOptions, parts: OutputParts, context: Context): Output {
  const { ffmpeg, output: path } = options
  if (path === undefined) return new NoOutput()
  const { facts, input, stepper, audioFrom, audioOnly } = parts
  const isMade = (stepper.audio?.mode ?? 'listen') !== 'listen'
  if (isMade) audioCodecFor(ffmpeg, path)
  else checkAudio(path, isAudioFile(path) ? facts.audio.slice(0, 1) : facts.audio)
  const fps = input.fps ?? facts.fps
  const copied = audioFrom && !isMade ? { audioFrom } : {}
  const { colour } = facts
  return new RunOutput({ ffmpeg, path, colour, audioOnly, ...copied, ...(fps && { fps }) }, context)
}

type Parts = {
  stepper: StepperChain
  /** Undefined for a run on audio only. */
  source: FileSource | undefined
  output: Output
  input: RunInput
  facts: FileFacts
  report: RunReport
  /** Undefined if audio passes around the pipeline. */
  audio: RunAudio | undefined
}

class Run {
  readonly #options: RunOptions
  readonly #parts: Parts
  readonly #signal: AbortSignal | undefined
  readonly #began = performance.now()
  /** Seconds to process, if known. */
  readonly #length: number | undefined
  #frames = 0
  #seconds = 0
  #broken = 0

  constructor(options: RunOptions, parts: Parts, { signal }: Context) {
    this.#options = options
    this.#parts = parts
    this.#signal = signal
    this.#length = lengthOf(parts, options.part)
  }

  async toTheEnd(): Promise<RunSummary> {
    const { stepper, source, output, report, input, audio } = this.#parts
    try {
      for await (const frame of this.#decoded()) {
        this.#throwIfStopped()
        this.#frames++
        this.#seconds = input.from + secondsOf(frame.pts)
        await audio?.upTo(frame.pts)
        await this.#put(frame)
        await this.#writeOutputs()
        report.progress(this.#state())
      }
      if (audio && !source) await this.#putAudio(audio)
      else if (this.#frames === 0)
        throw new AppError('unsupported-media', `INPUT ${this.#options.input} has no frames there`)
      await audio?.upTo(Number.POSITIVE_INFINITY)
      await stepper.settled()
      await this.#writeOutputs()
      await audio?.finish()
      this.#throwIfStopped()
      await output.finish()
    } finally {
      for (const { data } of stepper.take()) giveBack(data)
    }
    const { frames, outputs, fps, audioSeconds, speed } = this.#state()
    const seconds = (performance.now() - this.#began) / 1000
    const { output: file, data } = this.#options
    const files = { ...(file !== undefined && { output: file }), ...(data !== undefined && { data }) }
    const ofAudio = audioSeconds === undefined ? {} : { audioSeconds, speed: speed ?? 0 }
    return { ...files, frames, outputs, broken: this.#broken, seconds, fps, ...ofAudio }
  }

  /** All audio, in steps between which progress is reported and an interruption noticed. */
  async #putAudio(audio: RunAudio): Promise<void> {
    const { input, report } = this.#parts
    for (let until = AUDIO_STEP_TICKS; !audio.ended; until += AUDIO_STEP_TICKS) {
      await audio.upTo(until).finally(() => this.#throwIfStopped())
      this.#seconds = input.from + audio.seconds
      report.progress(this.#state())
    }
    if (audio.seconds === 0) throw new AppError('unsupported-media', `INPUT ${this.#options.input} has no audio there`)
  }

  /** A decoding error is located by the time of the last good frame. */
  async *#decoded(): AsyncGenerator<VideoFrame, void> {
    const { source } = this.#parts
    if (!source) return
    try {
      yield* source.frames()
    } catch (thrown) {
      this.#throwIfStopped()
      const { message, details } = AppError.from(thrown)
      const where = this.#frames === 0 ? 'at its start' : `after ${nameOf(this.#frames, this.#seconds)}`
      const text = `INPUT ${this.#options.input} cannot be decoded ${where}: ${message}`
      throw new AppError('unsupported-media', text, details && { details })
    }
  }

  async #put(frame: VideoFrame): Promise<void> {
    const { stepper, report } = this.#parts
    const { broken } = await stepper.put(frame, this.#frames, this.#seconds)
    if (!broken) return
    this.#broken++
    report.broken(broken)
    if (this.#options.keepGoing) return
    throw new AppError('pipeline-failed', `${nameOf(broken.frame, broken.seconds)}: ${broken.message}`)
  }

  async #writeOutputs(): Promise<void> {
    for (const output of this.#parts.stepper.take()) await this.#parts.output.write(output)
  }

  #throwIfStopped(): void {
    if (!this.#signal?.aborted) return
    const { source } = this.#parts
    const after = source ? nameOf(this.#frames, this.#seconds) : `audio up to ${this.#seconds.toFixed(3)} s`
    throw new AppError('pipeline-failed', `it was interrupted after ${after}`)
  }

  #state(): RunState {
    const { input, output, source, audio } = this.#parts
    const took = (performance.now() - this.#began) / 1000
    const share = this.#share(input)
    return {
      frames: this.#frames,
      outputs: output.frames,
      seconds: this.#seconds,
      fps: this.#frames / took,
      ...(!source && audio && { audioSeconds: audio.seconds, speed: audio.seconds / took }),
      ...(share && { share, left: (took * (1 - share)) / share }),
    }
  }

  #share({ frames, from }: RunInput): number | undefined {
    if (frames !== undefined) return this.#frames / frames
    return this.#length ? Math.min(1, Math.max(0, (this.#seconds - from) / this.#length)) : undefined
  }
}

const AUDIO_STEP_TICKS = TICKS_PER_SECOND / 10

/** MatrixCoefficients of ITU-T H.273 by ffmpeg's names; BT.601 if not stated. */
function matrixOf({ colour }: FileFacts): number {
  const codes: Record<string, number> = { bt709: 1, fcc: 4, smpte240m: 7, bt2020nc: 9 }
  return codes[colour.matrix ?? ''] ?? 6
}

function lengthOf({ facts, input }: Parts, { duration }: Part): number | undefined {
  if (facts.seconds === undefined) return duration
  return Math.min(facts.seconds - input.from, duration ?? Number.POSITIVE_INFINITY)
}
