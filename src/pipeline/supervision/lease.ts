import { nowMs } from '../../core/clock.ts'
import type { Percentiles } from '../../core/counters.ts'
import { Emitter } from '../../core/emitter.ts'
import { AppError, type AppErrorJson } from '../../core/errors.ts'
import type { PixelFormat, VideoFrame } from '../../core/media/frame.ts'
import { giveBack } from '../../core/media/frame-pool.ts'
import type { Closed, Context, Resource } from '../../core/resource.ts'
import { combine, type FrameCounts } from '../host/ring-counters.ts'
import type { UpdateMode, Values } from '../protocol.ts'
import type { EpochFrame } from '../ring/frame-ring.ts'
import { assess, type Observations, type PipelineState, type Thresholds } from './health.ts'
import { LeaseMeter } from './lease-meter.ts'
import { OutputGate } from './output-gate.ts'
import { StallWatch } from './stall-watch.ts'
import type { Supervisor, SupervisorStatus } from './supervisor.ts'

export type LeaseStatus = Omit<SupervisorStatus, 'phase'> & {
  /** `stalled`: loaded, and it takes frames, but none has come out for too long. */
  phase: SupervisorStatus['phase'] | 'stalled'
}

export type ParamsReply = {
  /** `accepted`: good, and applied once the pipeline has loaded. */
  status: 'applied' | 'accepted'
  revision: number
  params: Values
}

export type PipelineError = {
  message: string
  /** The method of the pipeline, or what else went wrong. */
  during: string
  /** How often, since it was last told. */
  count: number
  /** Milliseconds since 1970. */
  time: number
}

export type LeaseEvents = {
  state: { state: PipelineState; previous: PipelineState }
  status: LeaseStatus
  error: PipelineError
  /** The runner ended and is started again; `logs` are the last lines it printed. */
  restart: { count: number; reason: string; logs: string[] }
  log: { level: 'debug' | 'info' | 'warn' | 'error'; line: string; fields?: Values }
  /** What is in force now; `rejected` with the error when that did not change. */
  params: { status: 'applied' | 'rejected'; revision: number; params: Values; error?: AppErrorJson }
}

export type PipelineStats = {
  /** Frames offered and delivered a second, over a rolling window. */
  inputFps: number
  fps: number
  /** Milliseconds since 1970: the last frame from the stream, output to it, and change of params. */
  lastInputTime: number | undefined
  lastOutputTime: number | undefined
  lastParamsTime: number | undefined
  lastError: PipelineError | undefined
  /** `logs` are the last lines that the runner before it printed. */
  lastRestart: { time: number; logs: string[] } | undefined
  restarts: number
  dropped: { beforePipeline: number; afterPipeline: number; failed: number }
  /** For a pipeline that gives one output for each input: in = out + all of `dropped` + inside. */
  frames: { in: number; out: number; inside: number }
  /** From the offer of a frame to the delivery of the output with its time. */
  latencyMs: Percentiles
  pid: number | undefined
}

export type LeaseParts = {
  supervisor: Supervisor
  requestId: string
  /** Whole: the variant's own params with the stream's. */
  params: Values
  thresholds: Thresholds
  onFrame(frame: VideoFrame): void
  /** Memory for an output; fresh memory when absent. */
  allocate?: ((bytes: number) => Uint8Array) | undefined
  /** Takes the supervisor back. */
  onClose(): Promise<void>
}

/** One stream's hold on a pipeline. */
export class PipelineLease implements Resource {
  readonly closed: Promise<Closed>
  readonly events: Emitter<LeaseEvents>
  /** What to decode to. */
  readonly input: { format?: PixelFormat; width?: number; height?: number }
  readonly #parts: LeaseParts
  readonly #supervisor: Supervisor
  readonly #context: Context
  readonly #gate = new OutputGate()
  readonly #stall = new StallWatch()
  readonly #meter = new LeaseMeter()
  readonly #listening: (() => void)[] = []
  readonly #startedAt = nowMs()
  readonly #baseCounts: FrameCounts
  readonly #baseRestarts: number
  readonly #settle: (closed: Closed) => void
  #finalCounts: FrameCounts | undefined
  #params: { revision: number; value: Values }
  #state: PipelineState = 'LOADING'
  #stalledSince: number | undefined
  #lastError: PipelineError | undefined
  #lastErrorAt: number | undefined
  #lastParamsAt: number | undefined
  #lastRestart: PipelineStats['lastRestart']
  #closing = false

  private constructor(parts: LeaseParts, params: { revision: number; value: Values }, context: Context) {
    const { promise, resolve } = Promise.withResolvers<Closed>()
    this.closed = promise
    this.#settle = resolve
    this.#parts = parts
    this.#supervisor = parts.supervisor
    this.#context = context
    this.#params = params
    this.#baseCounts = this.#supervisor.frameCounts()
    this.#baseRestarts = this.#supervisor.restarts
    this.events = new Emitter(context.log)
    this.input = wantedInput(this.#supervisor, params.value)
    this.#listen()
    this.#assess()
    context.signal?.addEventListener('abort', this.#onAbort, { once: true })
    if (context.signal?.aborted) this.#onAbort()
  }

  /** Rejects with `invalid-params`, and the supervisor is as it was. */
  static async open(parts: LeaseParts, context: Context): Promise<PipelineLease> {
    let lease: PipelineLease | undefined
    const onOutput = (output: EpochFrame) => {
      if (lease) lease.#receive(output)
      else giveBack(output.frame.data)
    }
    const reply = await parts.supervisor.attach(
      { requestId: parts.requestId, onOutput, allocate: parts.allocate },
      parts.params,
    )
    lease = new PipelineLease(parts, { revision: reply.revision, value: reply.params }, context)
    return lease
  }

  get pipeline(): string {
    return this.#supervisor.entry.name
  }

  get state(): PipelineState {
    return this.#state
  }

  get status(): LeaseStatus {
    const { status } = this.#supervisor
    if (status.phase !== 'ready' || this.#stalledSince === undefined) return status
    return { phase: 'stalled', since: this.#stalledSince, text: `Waiting for ${this.pipeline}` }
  }

  get showReloadingFrame(): boolean {
    return this.#params.value.show_reloading_frame !== false
  }

  get params(): { revision: number; value: Values } {
    return this.#params
  }

  get pid(): number | undefined {
    return this.#supervisor.pid
  }

  /** Memory for a frame that will be offered, to save a copy; `undefined` while there is none to spare. */
  take(bytes: number): Uint8Array | undefined {
    return this.#closing ? undefined : this.#supervisor.take(bytes)
  }

  /**
   * Gives the pipeline a frame in the format and size of `input`. False when something must be drawn for it instead:
   * no output of this frame, or of an earlier one, will be delivered any more. Memory from `take` is the pipeline's when
   * it is true.
   */
  offer(frame: VideoFrame): boolean {
    if (this.#closing) return false
    const now = nowMs()
    this.#meter.input(now)
    if (!this.#supervisor.ready) {
      this.#gate.replaced(frame.pts)
      return false
    }
    this.#checkInput(frame)
    this.#gate.offered(frame.pts)
    this.#stall.offered(now)
    this.#meter.offered(frame.pts, now)
    this.#noteStall(now)
    if (this.#stalledSince === undefined) {
      this.#supervisor.write(frame)
      return true
    }
    // A pipeline that stalls goes on getting frames: the newest waits for it when it comes back.
    this.#supervisor.write({ ...frame, data: frame.data.slice() })
    this.#gate.replaced(frame.pts)
    return false
  }

  /** Throws `invalid-params` with issues, `conflict` or `pipeline-failed`; the params before stay in force then. */
  async updateParams(mode: UpdateMode, value: Values): Promise<ParamsReply> {
    try {
      const { status, revision, params } = await this.#supervisor.update(mode, value)
      return { status, revision, params }
    } catch (thrown) {
      const error = AppError.from(thrown)
      const { revision, value: params } = this.#params
      this.events.emit('params', { status: 'rejected', revision, params, error: error.toJSON() })
      throw error
    }
  }

  stats(): PipelineStats {
    const now = nowMs()
    const { offered, inside, beforePipeline, afterPipeline, failed, arrived } = this.#frameCounts()
    // Of what arrived, the gate refused some, and some came when the stream was over.
    const undelivered = arrived - this.#meter.delivered
    const time = (at: number | undefined) => at && Math.round(Date.now() - (now - at))
    return {
      ...this.#meter.rates(now),
      lastInputTime: time(this.#meter.lastInputAt),
      lastOutputTime: time(this.#meter.lastOutputAt),
      lastParamsTime: time(this.#lastParamsAt),
      lastError: this.#lastError,
      lastRestart: this.#lastRestart,
      restarts: this.#supervisor.restarts - this.#baseRestarts,
      dropped: { beforePipeline, afterPipeline: afterPipeline + undelivered, failed },
      frames: { in: offered, out: this.#meter.delivered, inside },
      latencyMs: this.#meter.latencyMs,
      pid: this.pid,
    }
  }

  /** Resolves when the pipeline is back in its owner's hands. */
  async close(): Promise<Closed> {
    if (this.#closing) return this.closed
    this.#closing = true
    this.#context.signal?.removeEventListener('abort', this.#onAbort)
    await this.#parts.onClose()
    this.#finalCounts = this.#frameCounts()
    for (const off of this.#listening) off()
    this.#settle({ why: 'stopped' })
    return this.closed
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  readonly #onAbort = (): void => {
    void this.close()
  }

  #receive(output: EpochFrame): void {
    const now = nowMs()
    this.#stall.arrived(now)
    this.#noteStall(now)
    const refusal = this.#gate.refusal(output, this.#supervisor.epoch)
    if (refusal !== undefined) {
      giveBack(output.frame.data)
      if (refusal) this.#noteError({ message: refusal, during: 'output', count: 1 })
      return
    }
    const { frame } = output
    this.#meter.output(frame.pts, now)
    try {
      this.#parts.onFrame(frame)
    } catch (err) {
      this.#context.log.error({ err, pipeline: this.pipeline }, 'the stream failed on an output')
    }
  }

  #listen(): void {
    const { events } = this.#supervisor
    this.#listening.push(
      events.on('tick', () => this.#assess()),
      events.on('status', () => {
        this.#stall.reset()
        this.#stalledSince = undefined
        this.events.emit('status', this.status)
        this.#assess()
      }),
      events.on('params', ({ revision, params }) => {
        this.#params = { revision, value: params }
        this.#lastParamsAt = nowMs()
        this.events.emit('params', { status: 'applied', revision, params })
      }),
      events.on('error', (error) => this.#noteError(error)),
      events.on('log', ({ level, message, fields }) =>
        this.events.emit('log', { level, line: message, ...(fields && { fields }) }),
      ),
      events.on('restart', ({ count, reason, lines }) => {
        this.#noteError({ message: reason.message, during: 'process', count: 1 })
        this.#lastRestart = { time: Date.now(), logs: lines }
        this.events.emit('restart', { count: count - this.#baseRestarts, reason: reason.message, logs: lines })
      }),
    )
  }

  #noteStall(now: number): void {
    const stalled = this.#supervisor.ready && this.#stall.stalled(now)
    if (stalled === (this.#stalledSince !== undefined)) return
    this.#stalledSince = stalled ? now - this.#stall.patienceMs : undefined
    this.events.emit('status', this.status)
  }

  #noteError(error: Omit<PipelineError, 'time'>): void {
    const { message, during, count } = error
    this.#lastError = { message, during, count, time: Date.now() }
    this.#lastErrorAt = nowMs()
    this.events.emit('error', this.#lastError)
  }

  #checkInput(frame: VideoFrame): void {
    const wanted = this.input
    for (const key of ['format', 'width', 'height'] as const) {
      if (wanted[key] !== undefined && wanted[key] !== frame[key])
        throw new AppError('internal', `${this.pipeline} takes frames with ${key} ${wanted[key]}, not ${frame[key]}`)
    }
  }

  #frameCounts(): FrameCounts {
    return this.#finalCounts ?? combine(this.#supervisor.frameCounts(), this.#baseCounts, -1)
  }

  #assess(): void {
    const now = nowMs()
    this.#noteStall(now)
    const verdict = assess(this.#observe(now), now, this.#parts.thresholds)
    if (verdict.restart && !this.#closing) {
      const what = verdict.restart === 'no-output' ? 'gave no output any more' : 'did not load in time'
      // The state changes with the restart: ERROR is for what is given up.
      this.#supervisor.restart(new AppError('pipeline-failed', `${this.pipeline} ${what}`))
      return
    }
    if (verdict.state === this.#state) return
    const previous = this.#state
    this.#state = verdict.state
    this.events.emit('state', { state: verdict.state, previous })
  }

  #observe(now: number): Observations {
    const supervisor = this.#supervisor
    const { lastRestartAt } = supervisor
    return {
      failed: supervisor.status.phase === 'failed',
      ready: supervisor.ready,
      streaming: true,
      processStartedAt: supervisor.processStartedAt,
      readyAt: supervisor.readyAt,
      streamStartedAt: this.#startedAt,
      lastInputAt: this.#meter.lastInputAt,
      lastOutputAt: this.#meter.lastOutputAt,
      owedMs: this.#stall.owedMs(now),
      lastParamsAt: this.#lastParamsAt,
      lastErrorAt: this.#lastErrorAt,
      lastRestartAt: lastRestartAt !== undefined && lastRestartAt > this.#startedAt ? lastRestartAt : undefined,
      ...this.#meter.knownRates(now),
    }
  }
}

function wantedInput(supervisor: Supervisor, params: Values): PipelineLease['input'] {
  const { input } = supervisor.description
  const [width, height] = [params.width ?? input.width, params.height ?? input.height]
  return {
    ...(input.format && { format: input.format }),
    ...(typeof width === 'number' && typeof height === 'number' && { width, height }),
  }
}
