import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { AppError } from '../../core/errors.ts'
import type { Log } from '../../core/log.ts'
import type { VideoFrame } from '../../core/media/frame.ts'
import { deadline, sleep } from '../../core/resource.ts'
import type { ParamsOf, ParamsSchema } from '../base-params.ts'
import { type Pipeline, type PipelineClass, Reload } from '../pipeline-class.ts'
import { VideoOutput } from '../video-output.ts'

export type Values = Record<string, unknown>
export type LogLine = { level: 'debug' | 'info' | 'warn' | 'error'; message: string; fields: Values }

export type RunOptions = {
  /** The name the pipeline is started by; default `test`. */
  name?: string
  /** Where it keeps models; default: a new folder, removed at the end. */
  modelDir?: string
  /** How long no output must come before all are taken to be out; default 100. */
  settleMs?: number
  /** For each of the pipeline's methods; default 60,000. */
  limitMs?: number
}

export type PipelineRun = {
  /** In the order in which they came. */
  outputs: VideoFrame[]
  /** What `putVideoFrame` and `getProcessedVideoFrame` threw; the frame in question is lost, as in the server. */
  errors: unknown[]
  logs: LogLine[]
}

const REQUEST = 'test-request'

/** A pipeline at work without a server, treated as the server's runner treats it. */
export class TestedPipeline implements AsyncDisposable {
  readonly outputs: VideoFrame[] = []
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
  }

  /** Loads it. Rejects with what `initialize` throws, or `invalid-params`. */
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
    return tested
  }

  /** In force, with their defaults. */
  get params(): ParamsOf<ParamsSchema> {
    return this.#params
  }

  /** Gives it a copy of a frame; what it throws is kept in `errors`. */
  async put(frame: VideoFrame): Promise<void> {
    const { format } = this.#class.input ?? {}
    if (format && frame.format !== format)
      throw new TypeError(`the pipeline asks for ${format}, the frame is ${frame.format}`)
    const own = { ...frame, data: frame.data.slice() }
    try {
      await deadline(this.#pipeline.putVideoFrame(own, REQUEST), this.#options.limitMs, 'putVideoFrame()')
    } catch (thrown) {
      this.errors.push(thrown)
    }
    await turn()
  }

  /** Merges values into the params. Rejects, and changes nothing, when the schema or the pipeline refuses them. */
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

  /** Resolves when no output has come for a while. */
  async settled(): Promise<void> {
    for (let seen = -1; seen !== this.outputs.length; ) {
      seen = this.outputs.length
      await sleep(this.#options.settleMs)
    }
  }

  /** Stops it; how long that took in milliseconds. Rejects with what `stop` throws. */
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
 * Loads a pipeline, gives it the frames one after the other, takes what comes out, and stops it; no server is needed.
 * Rejects when loading or stopping fails.
 */
export async function runPipeline(
  author: PipelineClass,
  frames: Iterable<VideoFrame> | AsyncIterable<VideoFrame>,
  params: Values = {},
  options: RunOptions = {},
): Promise<PipelineRun> {
  await using tested = await TestedPipeline.open(author, params, options)
  for await (const frame of frames) await tested.put(frame)
  await tested.settled()
  const { outputs, errors, logs } = tested
  return { outputs, errors, logs }
}

function check(author: PipelineClass, given: Values): ParamsOf<ParamsSchema> {
  const parsed = author.Params.safeParse(given)
  if (parsed.success) return parsed.data
  const issues = parsed.error.issues.map(({ path, message }) => ({ path: path.map(String), message }))
  const list = issues.map(({ path, message }) => `${path.join('.') || 'params'}: ${message}`).join('; ')
  throw new AppError('invalid-params', `params are not valid: ${list}`, { issues })
}
