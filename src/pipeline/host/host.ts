import { closeSync } from 'node:fs'
import { nowMs } from '../../core/clock.ts'
import type { Emitter } from '../../core/emitter.ts'
import { AppError } from '../../core/errors.ts'
import type { VideoFrame } from '../../core/media/frame.ts'
import { type Closed, type Context, deadline, type Resource } from '../../core/resource.ts'
import type { Description, RunnerMessage, ServerMessage, UpdateMode, Values } from '../protocol.ts'
import { Doorbell } from '../ring/doorbell.ts'
import { REGION, REGION_BYTES } from '../ring/frame-layout.ts'
import { type EpochFrame, FrameRing, formatRegion } from '../ring/frame-ring.ts'
import { createSharedFile, mapSharedFile, type SharedMemory } from '../ring/shared-memory.ts'
import { type RunnerOptions, RunnerProcess } from './process.ts'
import { type FrameCounts, readFrameCounts } from './ring-counters.ts'

const IMPORT_MS = 30_000
const RELEASE_MS = 10_000
const UPDATE_MS = 15_000
/** Updates sent and not yet answered. */
const MAX_UPDATES = 1000

export type HostEvents = {
  /** `reloading` begins a new epoch. */
  phase: 'loading' | 'ready' | 'reloading'
  params: { revision: number; params: Values; given: Values }
  error: { message: string; during: string; count: number }
  log: { level: 'debug' | 'info' | 'warn' | 'error'; message: string; fields?: Values }
}

export type HostOptions = Omit<RunnerOptions, 'mode' | 'frames'> & {
  /** Told what happens, from before `open` resolves. */
  events: Emitter<HostEvents>
}

type Imported = Pick<Extract<RunnerMessage, { type: 'imported' }>, 'description' | 'params'>

export type Reply = { status: 'applied' | 'accepted'; revision: number; params: Values }

/** One runner process with its frame memory: frames go in and come out, params are updated. */
export class PipelineHost implements Resource {
  readonly closed: Promise<Closed>
  /** On the clock of `nowMs`. */
  readonly startedAt = nowMs()
  phase: HostEvents['phase'] = 'loading'
  /** When the phase began. */
  phaseSince = nowMs()
  /** Of the newest reload; frames carry it. */
  epoch = 0
  /** Gets each output, in order. */
  onFrame: ((output: EpochFrame) => void) | undefined
  /** Memory for the next output; fresh memory while undefined. */
  allocate: ((bytes: number) => Uint8Array) | undefined
  readonly #runner: RunnerProcess
  readonly #memory: SharedMemory
  readonly #doorbell: Doorbell
  readonly #input: FrameRing
  readonly #output: FrameRing
  readonly #counters: Int32Array
  readonly #heartbeat: Int32Array
  readonly #requests = new Map<number, PromiseWithResolvers<Reply>>()
  readonly #events: Emitter<HostEvents>
  #imported: Imported | undefined
  #lastId = 0
  #final: FrameCounts | undefined

  private constructor(runner: RunnerProcess, memory: SharedMemory, events: Emitter<HostEvents>) {
    this.#runner = runner
    this.#memory = memory
    this.#events = events
    this.#input = new FrameRing(memory.buffer, 'input')
    this.#output = new FrameRing(memory.buffer, 'output')
    this.#counters = new Int32Array(memory.buffer, REGION.runnerCounters, 16)
    this.#input.onReturn = this.#output.onReturn = () => this.#unmap()
    this.#heartbeat = new Int32Array(memory.buffer, REGION.heartbeat, 1)
    this.#doorbell = new Doorbell(runner.doorbell!, () => this.#drain())
    runner.events.on('message', (message) => this.#receive(message))
    runner.events.on('line', (message) => events.emit('log', { level: 'info', message }))
    this.closed = this.#end()
  }

  /**
   * Starts a runner. Resolves when the author's module is imported and the params are checked; the model loads from
   * then on. Rejects with `invalid-params` or `pipeline-failed`, and leaves nothing.
   */
  static async open(options: HostOptions, context: Context): Promise<PipelineHost> {
    const { runner, memory } = await start(options, context)
    const host = new PipelineHost(runner, memory, options.events)
    try {
      host.#imported = await imported(runner, context)
      return host
    } catch (thrown) {
      runner.kill(AppError.from(thrown))
      await host.closed
      throw thrown
    }
  }

  get description(): Description {
    return this.#imported!.description
  }

  /** The params it loads with, defaults filled in. */
  get params(): Values {
    return this.#imported!.params
  }

  get pid(): number {
    return this.#runner.pid
  }

  /** The last lines it printed. */
  get tail(): string[] {
    return this.#runner.tail
  }

  /** Grows while the runner's event loop turns. */
  get heartbeat(): number {
    return this.#final ? 0 : Atomics.load(this.#heartbeat, 0)
  }

  memoryBytes(): Promise<number | undefined> {
    return this.#runner.memoryBytes()
  }

  /** It does not work at all; a pipeline that is busy does. */
  stuck(): Promise<boolean> {
    return this.#runner.stuck()
  }

  /** Memory for a frame that will be written, to save a copy; `undefined` while there is none to spare. */
  take(bytes: number): Uint8Array | undefined {
    return this.#final ? undefined : this.#input.take(bytes)
  }

  /** The frame's memory is the host's from now on if it was taken from it. */
  write(frame: VideoFrame): void {
    if (this.#final) return
    this.#input.write(frame, this.epoch)
    this.#doorbell.ring()
  }

  /** A stream begins. */
  lease(requestId: string, revision: number, params: Values): Promise<Reply> {
    const epoch = ++this.epoch
    return this.#ask((id) => ({ type: 'lease', id, requestId, epoch, revision, params }), UPDATE_MS)
  }

  /** The stream is over; resolves when the runner is as it was before it. */
  release(): Promise<Reply> {
    const epoch = ++this.epoch
    return this.#ask((id) => ({ type: 'release', id, epoch }), RELEASE_MS)
  }

  update(mode: UpdateMode, value: Values): Promise<Reply> {
    if (this.#requests.size >= MAX_UPDATES)
      return Promise.reject(new AppError('capacity', 'too many updates wait for an answer', { retryable: true }))
    return this.#ask((id) => ({ type: 'update', id, mode, value }), UPDATE_MS)
  }

  /** What became of its frames; after its end, for good. */
  frameCounts(): FrameCounts {
    return this.#final ?? readFrameCounts(this.#input, this.#output, this.#counters, false)
  }

  /** Ends it at once, for a reason. */
  kill(reason: AppError): void {
    this.#runner.kill(reason)
  }

  async close(): Promise<Closed> {
    await this.#runner.close()
    return this.closed
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #ask(message: (id: number) => ServerMessage, ms: number): Promise<Reply> {
    if (this.#final) throw gone()
    const id = ++this.#lastId
    const request = Promise.withResolvers<Reply>()
    this.#requests.set(id, request)
    try {
      this.#runner.send(message(id))
      return await deadline(request.promise, ms, 'the answer of the pipeline')
    } finally {
      this.#requests.delete(id)
    }
  }

  #receive(message: RunnerMessage): void {
    switch (message.type) {
      case 'done':
        this.#requests.get(message.id)?.resolve(message)
        break
      case 'refused':
        this.#requests.get(message.id)?.reject(AppError.fromJSON(message.error))
        break
      case 'ready':
        this.#enter('ready')
        break
      case 'reloading':
        this.epoch = Math.max(this.epoch, message.epoch)
        this.#enter('reloading')
        break
      case 'params':
        this.#events.emit('params', message)
        break
      case 'error':
        this.#events.emit('error', message)
        break
      case 'log':
        this.#events.emit('log', message)
        break
      default:
    }
  }

  #enter(phase: HostEvents['phase']): void {
    this.phase = phase
    this.phaseSince = nowMs()
    this.#events.emit('phase', phase)
  }

  #drain(): void {
    while (!this.#final) {
      try {
        const output = this.#output.takeOldest(this.allocate)
        if (!output) return
        this.onFrame?.(output)
      } catch (thrown) {
        this.kill(AppError.from(thrown))
        return
      }
    }
  }

  /** Frames of it may still be on their way to the encoder, and memory for one on its way from the decoder. */
  #unmap(): void {
    if (this.#final && this.#input.lent + this.#output.lent === 0) this.#memory.unmap()
  }

  async #end(): Promise<Closed> {
    const closed = await this.#runner.closed
    // Frames it had finished are as good as any.
    this.#drain()
    this.#final = readFrameCounts(this.#input, this.#output, this.#counters, true)
    this.#doorbell.close()
    this.#unmap()
    for (const request of this.#requests.values()) request.reject(closed.error ?? gone())
    return closed
  }
}

function gone(): AppError {
  return new AppError('pipeline-failed', "the pipeline's process has ended", { retryable: true })
}

async function start(options: HostOptions, context: Context): Promise<{ runner: RunnerProcess; memory: SharedMemory }> {
  const fd = createSharedFile(REGION_BYTES)
  let memory: SharedMemory | undefined
  try {
    memory = mapSharedFile(fd, REGION_BYTES)
    formatRegion(memory.buffer)
    return { runner: await RunnerProcess.open({ ...options, mode: 'serve', frames: fd }, context), memory }
  } catch (thrown) {
    memory?.unmap()
    throw thrown
  } finally {
    closeSync(fd)
  }
}

/** Waits until a runner says that it imported the author's module. */
export async function imported(runner: RunnerProcess, context: Context): Promise<Imported> {
  const { promise, resolve, reject } = Promise.withResolvers<Imported>()
  const off = runner.events.on('message', (message) => {
    if (message.type === 'imported') resolve(message)
  })
  const onAbort = () => reject(new AppError('pipeline-failed', 'the start of the pipeline was broken off'))
  context.signal?.addEventListener('abort', onAbort, { once: true })
  if (context.signal?.aborted) onAbort()
  void runner.closed.then(({ error }) => reject(error ?? gone()))
  try {
    return await deadline(promise, IMPORT_MS, 'importing the pipeline')
  } finally {
    off()
    context.signal?.removeEventListener('abort', onAbort)
  }
}
