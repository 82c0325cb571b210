import { existsSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { resolve } from 'node:path'
import { Worker } from 'node:worker_threads'
import { AppError } from '../../core/errors.ts'
import { type Closed, type Context, deadline, type Resource } from '../../core/resource.ts'
import type { FromWorker, Provider, ToWorker, WorkerOptions } from './messages.ts'
import { candidates, cudaAbsence, type ExecutionProvider } from './provider.ts'
import type { Tensor, TensorInfo } from './tensor.ts'

/** Loading a large model onto a GPU takes minutes at worst. */
const OPEN_MS = 300_000
/** Runs that wait their turn; more than a few only make frames old. */
const MAX_WAITING = 8

const WORKER = new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js', import.meta.url)

export type ModelOptions = {
  /** Path of the `.onnx` file; relative to the working directory. For a file of an npm package see `packageFile`. */
  file: string
  /** Default `auto`: CUDA where it can be used, else the CPU; which one, and why, is logged. */
  executionProvider?: ExecutionProvider
  /** CPU threads for one run; default half of the cores: the decoder, the encoder and the frames need the others. */
  threads?: number
}

type Run = { id: number; feeds: Feeds; resolve(results: Record<string, Tensor>): void; reject(error: AppError): void }
type Feeds = Record<string, Tensor>

/** A loaded model. It computes on a thread of its own, so the event loop stays free. */
export class OnnxModel implements Resource {
  readonly executionProvider: Provider
  readonly inputs: readonly TensorInfo[]
  readonly outputs: readonly TensorInfo[]
  readonly closed: Promise<Closed>
  /** How long the newest run computed, in milliseconds. */
  lastRunMs = 0
  readonly #worker: Worker
  /** The first one is being computed. */
  readonly #runs: Run[] = []
  #lastId = 0
  #stopping = false
  #failure: AppError | undefined
  #ended = false

  private constructor(worker: Worker, opened: Extract<FromWorker, { type: 'opened' }>) {
    this.#worker = worker
    this.executionProvider = opened.provider
    this.inputs = opened.inputs
    this.outputs = opened.outputs
    worker.on('message', (message: FromWorker) => this.#receive(message))
    worker.on('error', (cause) => {
      this.#failure = new AppError('pipeline-failed', `the model's thread failed: ${cause.message}`, { cause })
    })
    this.closed = new Promise((settle) => worker.once('exit', () => settle(this.#end())))
  }

  /**
   * Loads a model. Rejects with `pipeline-failed` when it cannot be loaded, or not by the provider asked for, and leaves
   * nothing.
   */
  static async open(options: ModelOptions, { signal, log }: Context): Promise<OnnxModel> {
    const file = resolve(options.file)
    if (!existsSync(file)) throw new AppError('pipeline-failed', `there is no model file ${file}`)
    const wanted = options.executionProvider ?? 'auto'
    const absence = wanted === 'cpu' ? undefined : cudaAbsence()
    if (wanted === 'cuda' && absence) throw new AppError('pipeline-failed', `CUDA cannot be used: ${absence}`)
    const threads = options.threads ?? Math.max(1, availableParallelism() >> 1)
    const workerData: WorkerOptions = { file, providers: candidates(wanted, absence), threads }
    const worker = new Worker(WORKER, { workerData, execArgv: [], name: 'onnx' })
    try {
      const opened = await deadline(firstMessage(worker, signal), OPEN_MS, `loading ${file}`)
      if (opened.type !== 'opened')
        throw new AppError('pipeline-failed', `could not load ${file}: ${opened.type === 'unopened' && opened.reason}`)
      const why = absence ?? opened.refused[0]?.reason
      const fields = { file, provider: opened.provider, ...(wanted === 'auto' && why && { cuda: why }) }
      log.info(fields, opened.provider === 'cuda' ? 'the model runs on the GPU' : 'the model runs on the CPU')
      const model = new OnnxModel(worker, opened)
      const stop = () => void model.close()
      signal?.addEventListener('abort', stop, { once: true })
      void model.closed.then(() => signal?.removeEventListener('abort', stop))
      return model
    } catch (thrown) {
      worker.postMessage({ type: 'close' } satisfies ToWorker)
      throw AppError.from(thrown, 'pipeline-failed')
    }
  }

  /**
   * Computes. The data of `feeds` is lent to the model's thread meanwhile (arrays over a whole buffer of their own are
   * not copied) and put back into the same objects before this settles, so it can be filled again. Rejects with
   * `pipeline-failed` when the model does not take the feeds, with `capacity` when too many runs wait.
   */
  run(feeds: Record<string, Tensor>): Promise<Record<string, Tensor>> {
    if (this.#stopping || this.#ended)
      return Promise.reject(this.#failure ?? new AppError('pipeline-failed', 'the model is closed'))
    if (this.#runs.length >= MAX_WAITING)
      return Promise.reject(new AppError('capacity', `${MAX_WAITING} runs of the model wait`, { retryable: true }))
    const problem = Object.entries(feeds).map(feedProblem).find(Boolean)
    if (problem) return Promise.reject(new AppError('pipeline-failed', problem))
    const { promise, resolve, reject } = Promise.withResolvers<Record<string, Tensor>>()
    this.#runs.push({ id: ++this.#lastId, feeds, resolve, reject })
    if (this.#runs.length === 1) this.#sendNext()
    return promise
  }

  /** Runs that wait are rejected; the one that is being computed ends first, since nothing can break it off. */
  async close(): Promise<Closed> {
    if (!this.#stopping && !this.#ended) {
      this.#stopping = true
      this.#rejectAll()
      this.#worker.postMessage({ type: 'close' } satisfies ToWorker)
    }
    return this.closed
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #sendNext(): void {
    const run = this.#runs[0]
    if (!run) return
    const { id, feeds } = run
    const lent = Object.values(feeds).map(({ data }) => data)
    // A view of a larger buffer must not take the rest of it along.
    const whole = lent.filter((data) => data.byteLength === data.buffer.byteLength).map((data) => data.buffer)
    this.#worker.postMessage({ type: 'run', id, feeds } satisfies ToWorker, [...new Set(whole)])
  }

  #receive(message: FromWorker): void {
    const run = this.#runs[0]
    if ((message.type !== 'done' && message.type !== 'threw') || run?.id !== message.id) return
    this.#runs.shift()
    for (const [name, tensor] of Object.entries(run.feeds)) {
      if (tensor.data.buffer.detached) tensor.data = message.feeds[name]!.data
    }
    if (message.type === 'done') {
      this.lastRunMs = message.ms
      run.resolve(message.results)
    } else run.reject(new AppError('pipeline-failed', `the model failed: ${message.reason}`))
    this.#sendNext()
  }

  #rejectAll(): void {
    const gone = this.#failure ?? new AppError('pipeline-failed', 'the model was closed')
    for (const run of this.#runs.splice(0)) run.reject(gone)
  }

  #end(): Closed {
    this.#ended = true
    this.#rejectAll()
    if (this.#stopping) return { why: 'stopped' }
    return this.#failure ? { why: 'failed', error: this.#failure } : { why: 'ended' }
  }
}

function feedProblem([name, { dims, data }]: [string, Tensor]): string | undefined {
  const expected = dims.reduce((product, size) => product * size, 1)
  if (data.length === expected) return undefined
  return `feed ${name} has ${data.length} elements where ${dims.join('x')} takes ${expected}`
}

function firstMessage(worker: Worker, signal: AbortSignal | undefined): Promise<FromWorker> {
  return new Promise((resolve, reject) => {
    const stopped = () => reject(new AppError('pipeline-failed', 'loading the model was broken off'))
    if (signal?.aborted) stopped()
    signal?.addEventListener('abort', stopped, { once: true })
    const off = () => signal?.removeEventListener('abort', stopped)
    worker.once('message', (message: FromWorker) => {
      off()
      resolve(message)
    })
    worker.once('error', reject)
    worker.once('exit', () => {
      off()
      reject(new AppError('pipeline-failed', "the model's thread ended while it was loading"))
    })
  })
}
