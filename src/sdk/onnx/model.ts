import { existsSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { resolve } from 'node:path'
import { Worker } from 'node:worker_threads'
import { AppError } from '../../core/errors.ts'
import { type Closed, type Context, deadline, type Resource } from '../../core/resource.ts'
import type { FromWorker, Provider, ToWorker, WorkerOptions } from './messages.ts'
import { candidates, cudaAbsence, type ExecutionProvider, runtimeAbsence } from './provider.ts'
import type { Tensor, TensorInfo } from './tensor.ts'

/** Loading a large model onto a GPU can take minutes. */
const OPEN_MS = 300_000
/** Waiting runs; with more, frames would only get older. */
const MAX_WAITING = 8

const WORKER = new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js', import.meta.url)

export type ModelOptions = {
  /** Path of the `.onnx` file, relative to the working directory. For a file in an npm package see `packageFile`. */
  file: string
  /** Default `auto`: CUDA if available, else the CPU. The choice and its reason are logged. */
  executionProvider?: ExecutionProvider
  /**
   * CPU threads for one run; default half of the cores, because the decoder, the encoder and frame transport need the
   * rest.
   */
  threads?: number
}

/** `lent` is the copy or view of `feeds` that the model's thread gets. */
type Run = {
  id: number
  feeds: Feeds
  lent: Feeds
  resolve(results: Record<string, Tensor>): void
  reject(error: AppError): void
}
type Feeds = Record<string, Tensor>

/** A loaded model. It runs on its own thread, so the event loop stays free. */
export class OnnxModel implements Resource {
  readonly executionProvider: Provider
  readonly inputs: readonly TensorInfo[]
  readonly outputs: readonly TensorInfo[]
  readonly closed: Promise<Closed>
  /** Duration of the last run, in milliseconds. */
  lastRunMs = 0
  readonly #worker: Worker
  /** The first one is running. */
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
   * Loads a model. Rejects with `pipeline-failed` if it cannot be loaded, or not with the requested provider; nothing
   * is left behind then.
   */
  static async open(options: ModelOptions, { signal, log }: Context): Promise<OnnxModel> {
    const file = resolve(options.file)
    if (!existsSync(file)) throw new AppError('pipeline-failed', `there is no model file ${file}`)
    const missing = runtimeAbsence()
    if (missing !== undefined) throw new AppError('pipeline-failed', `could not load ${file}: ${missing}`)
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
   * Runs the model. The data of `feeds` is transferred to the model's thread for the run (without a copy, if an array
   * covers its whole buffer) and returned into the same objects before the promise settles, so it can be filled again.
   * Rejects with `pipeline-failed` if the model does not accept the feeds, and with `capacity` if too many runs wait.
   */
  run(feeds: Record<string, Tensor>): Promise<Record<string, Tensor>> {
    if (this.#stopping || this.#ended)
      return Promise.reject(this.#failure ?? new AppError('pipeline-failed', 'the model is closed'))
    if (this.#runs.length >= MAX_WAITING)
      return Promise.reject(new AppError('capacity', `${MAX_WAITING} runs of the model wait`, { retryable: true }))
    const problem = Object.entries(feeds).map(feedProblem).find(Boolean)
    if (problem) return Promise.reject(new AppError('pipeline-failed', problem))
    const { promise, resolve, reject } = Promise.withResolvers<Record<string, Tensor>>()
    // Transferred now, although other runs come first: a caller who refills a tensor early then writes to memory that
    // nobody reads.
    this.#runs.push({ id: ++this.#lastId, feeds, lent: lend(feeds), resolve, reject })
    if (this.#runs.length === 1) this.#sendNext()
    return promise
  }

  /** Waiting runs are rejected. The current run ends first, because it cannot be interrupted. */
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
    const { id, lent: feeds } = run
    const buffers = Object.values(feeds).map(({ data }) => data.buffer)
    this.#worker.postMessage({ type: 'run', id, feeds } satisfies ToWorker, [...new Set(buffers)])
  }

  #receive(message: FromWorker): void {
    const run = this.#runs[0]
    if ((message.type !== 'done' && message.type !== 'threw') || run?.id !== message.id) return
    this.#runs.shift()
    putBack(run.feeds, message.feeds)
    if (message.type === 'done') {
      this.lastRunMs = message.ms
      run.resolve(message.results)
    } else run.reject(new AppError('pipeline-failed', `the model failed: ${message.reason}`))
    this.#sendNext()
  }

  #rejectAll(): void {
    const gone = this.#failure ?? new AppError('pipeline-failed', 'the model was closed')
    for (const { feeds, lent, reject } of this.#runs.splice(0)) {
      putBack(feeds, lent)
      reject(gone)
    }
  }

  #end(): Closed {
    this.#ended = true
    this.#rejectAll()
    if (this.#stopping) return { why: 'stopped' }
    return this.#failure ? { why: 'failed', error: this.#failure } : { why: 'ended' }
  }
}

/** Without a copy, unless the array is a view of a larger buffer, which must not be transferred whole. */
function lend(feeds: Feeds): Feeds {
  const views = new Map<Tensor, Tensor['data']>()
  for (const tensor of Object.values(feeds))
    if (tensor.data.byteLength < tensor.data.buffer.byteLength) views.set(tensor, tensor.data.slice())
  const moved = new Map<ArrayBuffer, ArrayBuffer>()
  const entries = Object.entries(feeds).map(([name, tensor]) => {
    const { type, dims, data } = tensor
    const { buffer } = data
    const own = views.get(tensor) ?? moved.get(buffer) ?? buffer.transfer()
    if (!(own instanceof ArrayBuffer)) return [name, { type, dims, data: own }]
    moved.set(buffer, own)
    const Samples = data.constructor as new (from: ArrayBuffer) => Tensor['data']
    return [name, { type, dims, data: new Samples(own) }]
  })
  return Object.fromEntries(entries) as Feeds
}

function putBack(feeds: Feeds, lent: Feeds): void {
  for (const [name, tensor] of Object.entries(feeds)) {
    const { data } = lent[name]!
    if (tensor.data.buffer.detached && !data.buffer.detached) tensor.data = data
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
