import { pid, platform } from 'node:process'
import { nowMs } from '../../core/clock.ts'
import type { Emitter } from '../../core/emitter.ts'
import { AppError } from '../../core/errors.ts'
import type { AudioFrame } from '../../core/media/audio.ts'
import type { VideoFrame } from '../../core/media/frame.ts'
import { type Closed, type Context, deadline, type Resource } from '../../core/resource.ts'
import type { PipelineEntry } from '../catalog/entry.ts'
import type { Description, RunnerMessage, ServerMessage, UpdateMode, Values } from '../protocol.ts'
import { SHARED_BYTES } from '../ring/audio-layout.ts'
import { AudioRing, type EpochAudio } from '../ring/audio-ring.ts'
import { Doorbell } from '../ring/doorbell.ts'
import { REGION } from '../ring/frame-layout.ts'
import { type EpochFrame, FrameRing, formatRegion } from '../ring/frame-ring.ts'
import { openSharedMemory, type SharedMemory } from '../ring/shared-memory.ts'
import { type Runner, type RunnerOptions, RunnerProcess } from './process.ts'
import { importMs } from './program.ts'
import { type FrameCounts, readFrameCounts } from './ring-counters.ts'

const RELEASE_MS = 10_000
const UPDATE_MS = 15_000
/** Limit of updates sent and not yet answered. */
const MAX_UPDATES = 1000

export type HostEvents = {
  /** `reloading` begins a new epoch. */
  phase: 'loading' | 'ready' | 'reloading'
  params: { revision: number; params: Values; given: Values }
  error: { message: string; during: string; count: number; stack?: string[] | undefined }
  data: { pts: number; value: unknown; lost: number }
  log: { level: 'debug' | 'info' | 'warn' | 'error'; message: string; fields?: Values }
}

export type HostOptions = Omit<RunnerOptions, 'mode' | 'frames'> & {
  /** Opens its process; by default a new one. */
  openProcess?: (options: RunnerOptions & { framesPath?: string }, context: Context) => Promise<Runner>
  /** Receives events, also those before `open` resolves. */
  events: Emitter<HostEvents>
}

type Imported = Pick<Extract<RunnerMessage, { type: 'imported' }>, 'description' | 'params'>

export type Reply = { status: 'applied' | 'accepted'; revision: number; params: Values }

/** One runner process with its frame memory: takes and returns frames, and updates params. */
export class PipelineHost implements Resource {
  readonly closed: Promise<Closed>
  /** On the clock of `nowMs`. */
  readonly startedAt = nowMs()
  phase: HostEvents['phase'] = 'loading'
  /** When the current phase began. */
  phaseSince = nowMs()
  /** Epoch of the newest reload; frames carry it. */
  epoch = 0
  /** Called with each output, in order. */
  onFrame: ((output: EpochFrame) => void) | undefined
  /** Called with the pipeline's audio, in order. */
  onAudio: ((output: EpochAudio) => void) | undefined
  /** Allocates memory for the next output; new memory if undefined. */
  allocate: ((bytes: number) => Uint8Array) | undefined
  /** Whether its process ended while the pipeline had a frame: params that waited then were never tried. */
  endedInFrame = false
  readonly #runner: Runner
  readonly #memory: SharedMemory
  readonly #doorbell: Doorbell
  readonly #input: FrameRing
  readonly #output: FrameRing
  readonly #audio: { input: AudioRing; output: AudioRing }
  readonly #counters: Int32Array
  readonly #heartbeat: Int32Array
  readonly #requests = new Map<number, PromiseWithResolvers<Reply>>()
  readonly #events: Emitter<HostEvents>
  #imported: Imported | undefined
  #inForce: HostEvents['params'] | undefined
  #lastId = 0
  #final: FrameCounts | undefined

  private constructor(runner: Runner, memory: SharedMemory, events: Emitter<HostEvents>) {
    this.#runner = runner
    this.#memory = memory
    this.#events = events
    this.#input = new FrameRing(memory.buffer, 'input')
    this.#output = new FrameRing(memory.buffer, 'output')
    this.#audio = { input: new AudioRing(memory.buffer, 'input'), output: new AudioRing(memory.buffer, 'output') }
    this.#counters = new Int32Array(memory.buffer, REGION.runnerCounters, 16)
    this.#input.onReturn = this.#output.onReturn = () => this.#unmap()
    this.#heartbeat = new Int32Array(memory.buffer, REGION.heartbeat, 1)
    this.#doorbell = new Doorbell(runner.doorbell!, () => this.#drain())
    const working = new Int32Array(memory.buffer, REGION.working, 1)
    runner.busy = () => !this.#final && Atomics.load(working, 0) !== 0
    runner.events.on('message', (message) => this.#receive(message))
    runner.events.on('line', (message) => events.emit('log', { level: 'info', message }))
    this.closed = this.#end()
  }

  /**
   * Starts a runner. Resolves when the author's module is imported and the params are checked; the model loads from
   * then on. Rejects with `invalid-params` or `pipeline-failed`, and leaves nothing behind.
   */
  static async open(options: HostOptions, context: Context): Promise<PipelineHost> {
    const { runner, memory } = await start(options, context)
    const host = new PipelineHost(runner, memory, options.events)
    try {
      host.#imported = await imported(runner, options.entry, context)
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

  /** The params in effect, or those it loads with, with defaults. */
  get params(): Values {
    return this.#inForce?.params ?? this.#imported!.params
  }

  /**
   * The params in effect as they were given; undefined while it loads. A pipeline may load without what it was given.
   */
  get given(): Values | undefined {
    return this.#inForce?.given
  }

  get pid(): number {
    return this.#runner.pid
  }

  /** The last printed lines. */
  get tail(): string[] {
    return this.#runner.tail
  }

  /** Grows while the runner's event loop runs. */
  get heartbeat(): number {
    return this.#final ? 0 : Atomics.load(this.#heartbeat, 0)
  }

  memoryBytes(): Promise<number | undefined> {
    return this.#runner.memoryBytes()
  }

  /** Whether the runner does no work at all; a busy pipeline does. */
  stuck(): Promise<boolean> {
    return this.#runner.stuck(this.phase !== 'ready')
  }

  /** Memory for a frame to write, which saves a copy; undefined if none is free. */
  take(bytes: number): Uint8Array | undefined {
    return this.#final ? undefined : this.#input.take(bytes)
  }

  /** Memory from `take` belongs to the host afterwards. */
  write(frame: VideoFrame): void {
    if (this.#final) return
    this.#input.write(frame, this.epoch)
    this.#doorbell.ring()
  }

  /** False if there is no room. */
  writeAudio(frame: AudioFrame): boolean {
    if (this.#final || !this.#audio.input.write(frame, this.epoch)) return false
    this.#doorbell.ring()
    return true
  }

  /** Input frames that it has not taken yet, and output frames lost on the way; zeros after its end. */
  audioCounts(): { waiting: number; lost: number } {
    if (this.#final) return { waiting: 0, lost: 0 }
    return { waiting: this.#audio.input.waiting, lost: this.#audio.output.lost }
  }

  /** Begins a stream. */
  lease(requestId: string, revision: number, params: Values): Promise<Reply> {
    const epoch = ++this.epoch
    return this.#ask((id) => ({ type: 'lease', id, requestId, epoch, revision, params }), UPDATE_MS)
  }

  /** Ends the stream; resolves when the runner is reset. */
  release(): Promise<Reply> {
    const epoch = ++this.epoch
    return this.#ask((id) => ({ type: 'release', id, epoch }), RELEASE_MS)
  }

  update(mode: UpdateMode, value: Values): Promise<Reply> {
    if (this.#requests.size >= MAX_UPDATES)
      return Promise.reject(new AppError('capacity', 'too many updates wait for an answer', { retryable: true }))
    return this.#ask((id) => ({ type: 'update', id, mode, value }), UPDATE_MS)
  }

  /** Rejects as `update` would if the pipeline refuses the params; changes nothing. */
  async check(mode: UpdateMode, value: Values): Promise<void> {
    await this.#ask((id) => ({ type: 'check', id, mode, value }), UPDATE_MS)
  }

  /** Frame counters; final after its end. */
  frameCounts(): FrameCounts {
    return this.#final ?? readFrameCounts(this.#input, this.#output, this.#counters, false)
  }

  /** Kills it with a reason; `all`: together with the other streams of its process. */
  kill(reason: AppError, all = false): void {
    this.#runner.kill(reason, all)
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
        this.#inForce = message
        this.#events.emit('params', message)
        break
      case 'data':
        // Otherwise it belongs to an earlier stream or load.
        if (message.epoch >= this.epoch) this.#events.emit('data', message)
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
        const audio = this.#audio.output.take()
        if (audio) this.onAudio?.(audio)
        const output = this.#output.takeOldest(this.allocate)
        if (output) this.onFrame?.(output)
        if (!output && !audio) return
      } catch (thrown) {
        this.kill(AppError.from(thrown))
        return
      }
    }
  }

  /** Frames in it may still be on their way to the encoder, and memory lent to the decoder. */
  #unmap(): void {
    if (this.#final && this.#input.lent + this.#output.lent === 0) this.#memory.unmap()
  }

  async #end(): Promise<Closed> {
    const closed = await this.#runner.closed
    // Finished frames are still good.
    this.#drain()
    const { failed } = this.frameCounts()
    this.#final = readFrameCounts(this.#input, this.#output, this.#counters, true)
    // A runner of many streams lets one go with `timeout` when its frame does not end, and counts that as failed itself.
    this.endedInFrame = this.#final.failed > failed || closed.error?.code === 'timeout'
    this.#doorbell.close()
    this.#unmap()
    for (const request of this.#requests.values()) request.reject(closed.error ?? gone())
    return closed
  }
}

function gone(): AppError {
  return new AppError('pipeline-failed', "the pipeline's process has ended", { retryable: true })
}

async function start(options: HostOptions, context: Context): Promise<{ runner: Runner; memory: SharedMemory }> {
  const memory = openSharedMemory(SHARED_BYTES)
  try {
    formatRegion(memory.buffer)
    const { openProcess = RunnerProcess.open } = options
    const framesPath = platform === 'linux' ? { framesPath: `/proc/${pid}/fd/${memory.fd}` } : {}
    const request = { ...options, mode: 'serve' as const, frames: memory.fd, ...framesPath }
    return { runner: await openProcess(request, context), memory }
  } catch (thrown) {
    memory.unmap()
    throw thrown
  }
}

/** Waits until a runner reports that it has imported the author's module. */
export async function imported(runner: Runner, entry: PipelineEntry, context: Context): Promise<Imported> {
  const { promise, resolve, reject } = Promise.withResolvers<Imported>()
  const off = runner.events.on('message', (message) => {
    if (message.type === 'imported') resolve(message)
  })
  const onAbort = () => reject(new AppError('pipeline-failed', 'the start of the pipeline was aborted'))
  context.signal?.addEventListener('abort', onAbort, { once: true })
  if (context.signal?.aborted) onAbort()
  void runner.closed.then(({ error }) => reject(error ?? gone()))
  try {
    return await deadline(promise, importMs(entry), 'importing the pipeline')
  } finally {
    off()
    context.signal?.removeEventListener('abort', onAbort)
  }
}
