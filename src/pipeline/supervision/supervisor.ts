import { isDeepStrictEqual } from 'node:util'
import { mergePatch } from '../../codec/merge-patch.ts'
import { nowMs } from '../../core/clock.ts'
import { Emitter } from '../../core/emitter.ts'
import { AppError } from '../../core/errors.ts'
import type { VideoFrame } from '../../core/media/frame.ts'
import { giveBack } from '../../core/media/frame-pool.ts'
import { aborted, type Closed, type Context, deadline, type Resource, Scope, sleep } from '../../core/resource.ts'
import type { PipelineEntry } from '../catalog/entry.ts'
import { type HostEvents, PipelineHost, type Reply } from '../host/host.ts'
import type { Reaper } from '../host/reaper.ts'
import { combine, type FrameCounts, NO_FRAMES } from '../host/ring-counters.ts'
import type { Description, UpdateMode, Values } from '../protocol.ts'
import type { EpochFrame } from '../ring/frame-ring.ts'
import type { Thresholds } from './health.ts'
import { RestartBudget } from './restarts.ts'

const TICK_MS = 250
/** A runner that was ready for as long has proved itself. */
const RAN_WELL_MS = 30_000
const NEW_HOST_MS = 15_000
/** An event loop that does not turn for as long between streams is not worth waiting for. */
const HUNG_MS = 5000
const HUNG_IDLE_MS = 30_000
/** The same for one that the system says does no work, so that it is not merely busy. */
const STUCK_MS = 1500
/** Who has not been heard of for as long is not given to a stream, if there is another. */
const RESPONSIVE_MS = 2000
/** A stream's params count from here. */
const FIRST_REVISION = 1

export type SupervisorOptions = {
  entry: PipelineEntry
  /** The variant's own params with the server's settings: what it returns to between streams. */
  initial: Values
  /** The params to load with. */
  params: Values
  modelDir: string
  reaper: Reaper
  thresholds: Thresholds
  /** Bytes of memory of its own that a runner may take. */
  memoryLimit: number
}

export type SupervisorStatus = {
  phase: 'loading' | 'ready' | 'reloading' | 'restarting' | 'failed'
  /** On the clock of `nowMs`. */
  since: number
  /** For people: what is happening. */
  text: string
}

export type SupervisorEvents = Omit<HostEvents, 'phase'> & {
  status: SupervisorStatus
  /** A runner ended and another is started. */
  restart: { count: number; reason: AppError; lines: string[] }
  /** Four times a second. */
  tick: undefined
}

type Stream = {
  requestId: string
  onOutput(output: EpochFrame): void
  /** Memory for an output; fresh memory when absent. */
  allocate?: ((bytes: number) => Uint8Array) | undefined
}

/** Keeps one pipeline running: starts its runner, watches it, starts it again; outlives streams. */
export class Supervisor implements Resource {
  readonly events: Emitter<SupervisorEvents>
  readonly entry: PipelineEntry
  /** Restarts in its life. */
  restarts = 0
  lastRestartAt: number | undefined
  readonly #options: SupervisorOptions
  readonly #context: Context
  readonly #scope: Scope
  readonly #hostEvents: Emitter<HostEvents>
  readonly #budget = new RestartBudget()
  #host: PipelineHost
  #alive = true
  #nextHost = Promise.withResolvers<void>()
  #status: SupervisorStatus
  #error: AppError | undefined
  /** What a new runner loads with: the params that were last in force, as they were given. */
  #given: Values
  /** Given and not in force yet, of a stream that begins or while there is no runner: the next one loads with it. */
  #untried: Values | undefined
  /** `#given` with defaults filled in. */
  #value: Values
  #revision = FIRST_REVISION
  #stream: Stream | undefined
  #past: FrameCounts = NO_FRAMES
  #readyAt: number | undefined
  #heartbeat = 0
  #lastBeatAt = nowMs()

  private constructor(options: SupervisorOptions, context: Context, host: PipelineHost, events: Emitter<HostEvents>) {
    this.entry = options.entry
    this.#options = options
    this.#context = context
    this.#scope = new Scope(context.signal)
    this.#given = options.params
    this.#value = host.params
    this.events = new Emitter(context.log)
    this.#hostEvents = events
    this.#host = host
    this.#status = { phase: 'loading', since: nowMs(), text: `Loading ${options.entry.name}` }
    events.on('phase', () => {
      // A runner that is not attached yet is looked at when it is.
      if (this.#alive) this.#onPhase()
    })
    events.on('params', (params) => {
      this.#given = params.given
      if (isDeepStrictEqual(params.given, this.#untried)) this.#untried = undefined
      this.#value = params.params
      this.#revision = params.revision
      this.events.emit('params', params)
    })
    events.on('error', (error) => this.events.emit('error', error))
    events.on('log', (line) => this.events.emit('log', line))
    this.#attachHost(host)
    this.#scope.spawn((signal) => this.#run(signal))
    this.#scope.spawn((signal) => this.#watch(signal))
    this.#scope.defer(() => this.#host.close())
  }

  /** Resolves when the author's module is imported and the params are good; it loads from then on. */
  static async open(options: SupervisorOptions, context: Context): Promise<Supervisor> {
    const events = new Emitter<HostEvents>(context.log)
    const log = context.log.child({ pipeline: options.entry.name })
    // From the first line on: what goes wrong while it is imported is told here only.
    events.on('error', (error) => log.warn(error, 'the pipeline threw'))
    events.on('log', ({ level, message, fields }) => log[level]({ ...fields, line: message }, 'the pipeline says'))
    const host = await PipelineHost.open({ ...options, revision: FIRST_REVISION, events }, context)
    return new Supervisor(options, context, host, events)
  }

  get closed(): Promise<Closed> {
    return this.#scope.closed
  }

  get status(): SupervisorStatus {
    return this.#status
  }

  /** Why it failed, while it is tried again only now and then. */
  get error(): AppError | undefined {
    return this.#error
  }

  get ready(): boolean {
    return this.#status.phase === 'ready'
  }

  /** Its event loop turns. */
  get responsive(): boolean {
    return this.#alive && nowMs() - this.#lastBeatAt < RESPONSIVE_MS
  }

  get pid(): number | undefined {
    return this.#alive ? this.#host.pid : undefined
  }

  get processStartedAt(): number {
    return this.#host.startedAt
  }

  get readyAt(): number | undefined {
    return this.#readyAt
  }

  get description(): Description {
    return this.#host.description
  }

  /** Frames of other epochs are of an earlier stream or an earlier load. */
  get epoch(): number {
    return this.#host.epoch
  }

  /** A stream begins, with all its params. Rejects with `invalid-params`, and nothing changed. */
  async attach(stream: Stream, params: Values): Promise<{ revision: number; params: Values }> {
    const { requestId } = stream
    if (isDeepStrictEqual(params, this.#given)) {
      // They are known to be good: nothing to wait for, and nothing that a crash on load could spoil.
      this.#begin(stream)
      this.#tellLease(this.#host, requestId, FIRST_REVISION, params)
      return { revision: FIRST_REVISION, params: this.#value }
    }
    const reply = await this.#host.lease(requestId, FIRST_REVISION, params)
    this.#begin(stream)
    this.#untried = params
    return reply
  }

  /** With params that were checked before; a model that blocks its event loop while it loads answers late. */
  #tellLease(host: PipelineHost, requestId: string, revision: number, params: Values): void {
    host
      .lease(requestId, revision, params)
      .catch((err) => this.#context.log.debug({ err, pipeline: this.entry.name }, 'the lease is not answered yet'))
  }

  #begin(stream: Stream): void {
    this.#stream = stream
    this.#revision = FIRST_REVISION
  }

  /** The stream is over. True when the runner is fit for the next one; when it is not, this supervisor ends. */
  async detach(): Promise<boolean> {
    this.#stream = undefined
    this.#untried = undefined
    if (this.#alive && !this.#scope.reason) {
      try {
        await Promise.race([this.#host.release(), this.#hung()])
        return true
      } catch (thrown) {
        this.#context.log.warn({ err: thrown, pipeline: this.entry.name }, 'the pipeline could not be reset')
        this.#scope.end({ why: 'stopped' })
        this.#host.kill(AppError.from(thrown))
      }
    }
    await this.close()
    return false
  }

  /** Rejects when the runner's event loop has not turned for too long. */
  async #hung(): Promise<never> {
    while (nowMs() - this.#lastBeatAt < HUNG_MS) await sleep(TICK_MS, this.#scope.signal)
    throw new AppError('pipeline-failed', `${this.entry.name} does not answer`)
  }

  /** Memory for a frame that will be written; `undefined` while there is none to spare. */
  take(bytes: number): Uint8Array | undefined {
    return this.ready ? this.#host.take(bytes) : undefined
  }

  write(frame: VideoFrame): void {
    this.#host.write(frame)
  }

  /** Waits for the next runner when one comes soon; else the params are kept for it, and checked when it starts. */
  async update(mode: UpdateMode, value: Values): Promise<Reply> {
    if (!this.#alive && !this.#error) await deadline(this.#nextHost.promise, NEW_HOST_MS, 'the restart of the pipeline')
    if (this.#alive) {
      const reply = await this.#host.update(mode, value)
      if (reply.status === 'applied') this.#untried = undefined
      else if (this.#untried) this.#untried = this.#combined(mode, value)
      return reply
    }
    if (!this.#error || this.#scope.reason) throw this.#error ?? new AppError('pipeline-failed', 'the stream is over')
    this.#untried = this.#combined(mode, value)
    return { status: 'accepted', revision: this.#revision, params: this.#untried }
  }

  #combined(mode: UpdateMode, value: Values): Values {
    if (mode === 'replace') return { ...this.#options.initial, ...value }
    return mergePatch(this.#untried ?? this.#given, value) as Values
  }

  /** What became of all frames it was given in its life. */
  frameCounts(): FrameCounts {
    return this.#alive ? combine(this.#past, this.#host.frameCounts(), 1) : this.#past
  }

  /** Ends the runner; another one is started. */
  restart(reason: AppError): void {
    if (this.#alive) this.#host.kill(reason)
  }

  close(): Promise<Closed> {
    return this.#scope.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #run(signal: AbortSignal): Promise<Closed> {
    for (;;) {
      await Promise.race([this.#host.closed, aborted(signal)])
      if (signal.aborted) return { why: 'stopped' }
      const { error } = await this.#host.closed
      this.#alive = false
      this.#past = combine(this.#past, this.#host.frameCounts(), 1)
      if (this.#readyAt !== undefined && nowMs() - this.#readyAt > RAN_WELL_MS) this.#budget.ranWell()
      this.#readyAt = undefined
      await this.#startAgain(error ?? new AppError('pipeline-failed', 'the pipeline ended its process'), signal)
    }
  }

  async #startAgain(reason: AppError, signal: AbortSignal): Promise<void> {
    const { log } = this.#context
    let why = reason
    for (;;) {
      const { delayMs, quick } = this.#budget.next()
      const facts = { err: why, pipeline: this.entry.name, restart: this.#budget.used }
      if (quick) {
        log.warn(facts, 'the pipeline is started again')
        this.#enter('restarting', `Restarting ${this.entry.name} (${this.#budget.used} of ${this.#budget.limit})`)
      } else {
        this.#error = why
        this.#nextHost.resolve()
        this.#enter('failed', `${this.entry.name} failed`)
        log.error({ ...facts, delayMs }, 'the pipeline fails again and again and is tried later')
        if (!this.#stream) throw why
        await sleep(delayMs, signal)
      }
      this.restarts++
      this.lastRestartAt = nowMs()
      const lines = (why.details?.lines ?? []) as string[]
      this.events.emit('restart', { count: this.restarts, reason: why, lines })
      if (quick) await sleep(delayMs, signal)
      try {
        const params = this.#untried ?? this.#given
        const options = { ...this.#options, params, revision: this.#revision, events: this.#hostEvents }
        const host = await PipelineHost.open(options, { ...this.#context, signal })
        this.#given = params
        this.#untried = undefined
        this.#value = host.params
        this.#attachHost(host)
        if (this.#stream) this.#tellLease(host, this.#stream.requestId, this.#revision, params)
        return
      } catch (thrown) {
        signal.throwIfAborted()
        why = AppError.from(thrown)
        // Those before are known to be good.
        if (why.code === 'invalid-params') this.#untried = undefined
      }
    }
  }

  #attachHost(host: PipelineHost): void {
    this.#host = host
    this.#alive = true
    this.#lastBeatAt = nowMs()
    host.onFrame = (output) => {
      if (this.#stream) this.#stream.onOutput(output)
      else giveBack(output.frame.data)
    }
    host.allocate = (bytes) => this.#stream?.allocate?.(bytes) ?? new Uint8Array(bytes)
    this.#nextHost.resolve()
    this.#nextHost = Promise.withResolvers()
    if (host.phase !== 'loading') this.#onPhase()
  }

  #onPhase(): void {
    const { phase, phaseSince } = this.#host
    if (phase === 'ready') {
      this.#readyAt = phaseSince
      this.#error = undefined
      this.#enter('ready', `${this.entry.name} is ready`)
    } else if (phase === 'reloading') this.#enter('reloading', `Reloading ${this.entry.name}`)
  }

  #enter(phase: SupervisorStatus['phase'], text: string): void {
    this.#status = { phase, since: nowMs(), text }
    this.events.emit('status', this.#status)
  }

  /** Looks after what no message tells: time that passes, and memory. */
  async #watch(signal: AbortSignal): Promise<Closed> {
    const { thresholds, memoryLimit } = this.#options
    for (let tick = 1; ; tick++) {
      await sleep(TICK_MS, signal)
      this.events.emit('tick', undefined)
      if (!this.#alive) continue
      await this.#feelPulse()
      const { phase, phaseSince } = this.#host
      if (phase !== 'ready' && nowMs() - phaseSince > thresholds.loadMs + thresholds.settleMs) {
        const seconds = thresholds.loadMs / 1000
        this.restart(new AppError('pipeline-failed', `${this.entry.name} was not ready after ${seconds} s`))
      }
      if (tick % 4 !== 0) continue
      const bytes = await this.#host.memoryBytes()
      if (bytes !== undefined && bytes > memoryLimit) {
        const [used, limit] = [bytes, memoryLimit].map((n) => Math.round(n / 2 ** 20))
        this.restart(
          new AppError('pipeline-failed', `${this.entry.name} used ${used} MiB of memory, more than ${limit}`),
        )
      }
    }
  }

  async #feelPulse(): Promise<void> {
    const { heartbeat } = this.#host
    if (heartbeat !== this.#heartbeat) this.#lastBeatAt = nowMs()
    this.#heartbeat = heartbeat
    if (!this.#stream && this.ready && nowMs() - this.#lastBeatAt > HUNG_IDLE_MS)
      this.restart(new AppError('pipeline-failed', `${this.entry.name} hangs`))
    if (nowMs() - this.#lastBeatAt < STUCK_MS) return
    const host = this.#host
    if ((await host.stuck()) && this.#alive && host === this.#host)
      this.restart(
        new AppError('pipeline-failed', `${this.entry.name} hangs: its process is stopped or stuck in a driver`),
      )
  }
}
