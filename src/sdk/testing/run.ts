import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { AppError } from '../../core/errors.ts'
import type { Log } from '../../core/log.ts'
import type { AudioFrame } from '../../core/media/audio.ts'
import type { VideoFrame } from '../../core/media/frame.ts'
import { deadline, sleep } from '../../core/resource.ts'
import { AudioOutput } from '../audio/output.ts'
import type { ParamsOf, ParamsSchema } from '../base-params.ts'
import { audioOf, type Pipeline, type PipelineClass, Reload } from '../pipeline-class.ts'
import { putProcessed } from '../processed.ts'
import { VideoOutput } from '../video-output.ts'

export type Values = Record<string, unknown>
export type LogLine = { level: 'debug' | 'info' | 'warn' | 'error'; message: string; fields: Values }

export type RunOptions = {
  /** The pipeline's name in its context; default `test`. */
  name?: string
  /** Folder for models; default: a new folder, removed at the end. */
  modelDir?: string
  /** How long to wait for further outputs, in ms; default 100. */
  settleMs?: number
  /** Time limit of each of the pipeline's methods, in ms; default 60,000. */
  limitMs?: number
}

export type PipelineRun = {
  /** In order of arrival. */
  outputs: VideoFrame[]
  /** Output audio, in order of arrival. */
  audio: AudioFrame[]
  /** Data messages. */
  data: { value: unknown; pts: number }[]
  /** Errors thrown by its frame and output methods; the frame is dropped, as in the server. */
  errors: unknown[]
  logs: LogLine[]
}

const REQUEST = 'test-request'

/** A pipeline running without a server, treated as the server's runner treats it. */
export class TestedPipeline implements AsyncDisposable {
  readonly outputs: VideoFrame[] = []
  readonly audio: AudioFrame[] = []
  readonly data: { value: unknown; pts: number }[] = []
  readonly errors: unknown[] = []
  readonly logs: LogLine[] = []
  readonly #pipeline: Pipeline
  readonly #class: PipelineClass
  readonly #options: Required<RunOptions>
  readonly #stopping = new AbortController()
  readonly #removeModels: boolean
  #given: Values
  #params: ParamsOf<ParamsSchema>
  #closing: Promise<number> | undefined

  private constructor(author: PipelineClass, params: Values, options: RunOptions & { modelDir: string }, own: boolean) {
    this.#class = author
    this.#given = params
    this.#params = check(author, params)
    this.#options = { name: 'test', settleMs: 100, limitMs: 60_000, ...options }
    this.#removeModels = own
    this.#pipeline = new author()
    this.#pipeline.outputs.onData = (value, pts) => this.data.push({ value, pts })
  }

  /** Loads it. Rejects with the error of `initialize`, or with `invalid-params`. */
  static async open(author: PipelineClass, params: Values = {}, options: RunOptions = {}): Promise<TestedPipeline> {
    check(author, params)
    const modelDir = options.modelDir ?? mkdtempSync(join(tmpdir(), 'pipeline-models-'))
    const tested = new TestedPipeline(author, params, { ...options, modelDir }, options.modelDir === undefined)
    const { name, limitMs } = tested.#options
    const context = { name, modelDir, log: tested.#log({}), signal: tested.#stopping.signal }
    try {
      await deadline(tested.#pipeline.initialize(tested.#params, context), limitMs, 'initialize()')
    } catch (thrown) {
      await tested.close().catch(() => {})
      throw thrown
    }
    void tested.#takeOutputs()
    if (audioOf(author)) void tested.#takeAudio()
    return tested
  }

  /** The params in effect, with their defaults. */
  get params(): ParamsOf<ParamsSchema> {
    return this.#params
  }

  /** Gives it a copy of a frame; an error that it throws is added to `errors`. */
  async put(frame: VideoFrame): Promise<void> {
    const { format } = this.#class.input ?? {}
    if (format && frame.format !== format)
      throw new TypeError(`the pipeline asks for ${format}, the frame is ${frame.format}`)
    const own = { ...frame, data: frame.data.slice() }
    try {
      await deadline(this.#give(own), this.#options.limitMs, 'putVideoFrame()')
    } catch (thrown) {
      this.errors.push(thrown)
    }
    await turn()
  }

  /** Gives it a copy of an audio frame; an error that it throws is added to `errors`. */
  async putAudio(frame: AudioFrame): Promise<void> {
    const spec = audioOf(this.#class)
    if (!spec || spec.mode === 'give') throw new TypeError('the pipeline takes no audio')
    if (frame.channels !== spec.channels)
      throw new TypeError(`the pipeline asks for ${spec.channels} channels, the frame has ${frame.channels}`)
    const own = { ...frame, data: frame.data.slice() }
    try {
      await deadline(this.#pipeline.putAudioFrame(own, REQUEST), this.#options.limitMs, 'putAudioFrame()')
    } catch (thrown) {
      this.errors.push(thrown)
    }
    await turn()
  }

  /** As one of several streams, if the pipeline can be shared. */
  async #give(frame: VideoFrame): Promise<void> {
    if (this.#class.streams === 1 || !this.#pipeline.processBatch) return this.#pipeline.putVideoFrame(frame, REQUEST)
    const { pts } = frame
    const [processed] = await this.#pipeline.processBatch([{ frame, params: this.#params, requestId: REQUEST }])
    putProcessed(processed, pts, REQUEST, this.#pipeline.outputs)
  }

  /** Merges values into the params. Rejects and changes nothing if the schema or the pipeline refuses them. */
  async update(values: Values): Promise<'applied' | 'reloaded'> {
    const given = { ...this.#given, ...values }
    const params = check(this.#class, given)
    const { limitMs } = this.#options
    const reload = await deadline(this.#pipeline.updateParams(params), limitMs, 'updateParams()')
    if (reload instanceof Reload) {
      this.#pipeline.outputs.clear()
      await deadline(reload.work(), limitMs, 'the reload')
    }
    this.#given = given
    this.#params = params
    return reload instanceof Reload ? 'reloaded' : 'applied'
  }

  /** Resolves when no output has come for `settleMs`. */
  async settled(): Promise<void> {
    const count = () => this.outputs.length + this.audio.length
    for (let seen = -1; seen !== count(); ) {
      seen = count()
      await sleep(this.#options.settleMs)
    }
  }

  /** Stops it and returns how long that took, in ms. Rejects with the error of `stop`. */
  close(): Promise<number> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #close(): Promise<number> {
    const { modelDir, limitMs } = this.#options
    const began = performance.now()
    this.#stopping.abort()
    try {
      await deadline(this.#pipeline.stop(), limitMs, 'stop()')
      return performance.now() - began
    } finally {
      if (this.#removeModels) rmSync(modelDir, { recursive: true, force: true })
    }
  }

  async #takeOutputs(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      try {
        const output = await this.#pipeline.getProcessedVideoFrame()
        if (!(output instanceof VideoOutput)) throw new TypeError('getProcessedVideoFrame must give a VideoOutput')
        if (output.requestId !== REQUEST)
          throw new TypeError(`output of request ${output.requestId}, which is not running`)
        this.outputs.push(output.frame)
      } catch (thrown) {
        this.errors.push(thrown)
        await turn()
      }
    }
  }

  async #takeAudio(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      try {
        const output = await this.#pipeline.getProcessedAudioFrame()
        if (!(output instanceof AudioOutput)) throw new TypeError('getProcessedAudioFrame must give an AudioOutput')
        if (output.requestId !== REQUEST)
          throw new TypeError(`output of request ${output.requestId}, which is not running`)
        this.audio.push(output.frame)
      } catch (thrown) {
        this.errors.push(thrown)
        await turn()
      }
    }
  }

  #log(bound: Values): Log {
    const write = (level: LogLine['level']) => (fields: object | string, message?: string) => {
      const text = typeof fields === 'string' ? fields : (message ?? '')
      this.logs.push({ level, message: text, fields: { ...bound, ...(typeof fields === 'string' ? {} : fields) } })
    }
    const child = (fields: Values) => this.#log({ ...bound, ...fields })
    return { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error'), child }
  }
}

/**
 * Loads a pipeline, gives it video or audio frames one after the other, collects the outputs, and stops it. Rejects if
 * loading or stopping fails.
 */
export async function runPipeline(
  author: PipelineClass,
  frames: Iterable<VideoFrame | AudioFrame> | AsyncIterable<VideoFrame | AudioFrame>,
  params: Values = {},
  options: RunOptions = {},
): Promise<PipelineRun> {
  await using tested = await TestedPipeline.open(author, params, options)
  for await (const frame of frames) {
    if ('sampleRate' in frame) await tested.putAudio(frame)
    else await tested.put(frame)
  }
  await tested.settled()
  const { outputs, audio, data, errors, logs } = tested
  return { outputs, audio, data, errors, logs }
}

function check(author: PipelineClass, given: Values): ParamsOf<ParamsSchema> {
  const parsed = author.Params.safeParse(given)
  if (parsed.success) return parsed.data
  const issues = parsed.error.issues.map(({ path, message }) => ({ path: path.map(String), message }))
  const list = issues.map(({ path, message }) => `${path.join('.') || 'params'}: ${message}`).join('; ')
  throw new AppError('invalid-params', `params are not valid: ${list}`, { issues })
}
