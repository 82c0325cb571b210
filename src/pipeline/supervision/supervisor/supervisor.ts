import { Emitter } from '../../../core/emitter.ts'
import { AppError } from '../../../core/errors.ts'
import { unmasked } from '../../../core/masked.ts'
import type { VideoFrame } from '../../../core/media/frame.ts'
import { giveBack } from '../../../core/media/frame-pool.ts'
import { type Closed, type Context, type Resource, Scope } from '../../../core/resource.ts'
import type { PipelineEntry } from '../../catalog/entry.ts'
import { type HostEvents, type HostOptions, PipelineHost, type Reply } from '../../host/host.ts'
import type { FrameCounts } from '../../host/ring-counters.ts'
import type { Description, UpdateMode, Values } from '../../protocol.ts'
import { maskSecrets } from '../../runner/secrets.ts'
import { HostKeeper } from './host-keeper.ts'
import type { Stream, SupervisorEvents, SupervisorOptions, SupervisorStatus } from './options.ts'
import { ParamsToLoad } from './params-to-load.ts'
import { Watchdog } from './watchdog.ts'

/** Base of a stream's param revisions. */
const FIRST_REVISION = 1

/** Keeps one pipeline running: starts its runner, watches it and restarts it; outlives streams. */
export class Supervisor implements Resource {
  readonly events: Emitter<SupervisorEvents>
  readonly entry: PipelineEntry
  readonly #options: SupervisorOptions
  readonly #context: Context
  readonly #scope: Scope
  readonly #keeper: HostKeeper
  readonly #params: ParamsToLoad
  /** The params in effect, with defaults. */
  #value: Values
  #revision = FIRST_REVISION
  #stream: Stream | undefined
  readonly #watchdog: Watchdog

  private constructor(options: SupervisorOptions, context: Context, host: PipelineHost, events: Emitter<HostEvents>) {
    this.entry = options.entry
    this.#options = options
    this.#context = context
    this.#scope = new Scope(context.signal)
    this.#params = new ParamsToLoad(options.initial, host.given ?? options.params)
    this.#value = host.params
    this.events = new Emitter(context.log)
    this.#keeper = new HostKeeper(
      host,
      {
        ...{ supervisor: options, params: this.#params, hostEvents: events },
        revision: () => this.#revision,
        streaming: () => this.#stream !== undefined,
        onHost: (another) => this.#useHost(another),
        onRestarted: (another, params) => {
          if (this.#stream) this.#tellLease(another, this.#stream.requestId, this.#revision, params)
        },
        onStatus: (status) => this.events.emit('status', status),
        onRestart: (restart) => this.events.emit('restart', restart),
      },
      context,
    )
    events.on('params', (params) => {
      this.#params.applied(params.given)
      this.#value = params.params
      this.#revision = params.revision
      this.events.emit('params', params)
    })
    events.on('data', (data) => this.events.emit('data', data))
    events.on('error', (error) => this.events.emit('error', error))
    events.on('log', (line) => this.events.emit('log', line))
    this.#watchdog = new Watchdog({
      name: this.entry.name,
      thresholds: options.thresholds,
      memoryLimit: options.memoryLimit,
      host: () => (this.#keeper.alive ? this.#keeper.host : undefined),
      streaming: () => this.#stream !== undefined,
      onTick: () => this.events.emit('tick', undefined),
      restart: (reason) => this.restart(reason, true),
    })
    this.#keeper.begin()
    this.#scope.spawn((signal) => this.#keeper.run(signal))
    this.#scope.spawn((signal) => this.#watchdog.run(signal))
    this.#scope.defer(() => this.#keeper.host.close())
  }

  /** Resolves when the author's module is imported and the params are valid; it loads from then on. */
  static async open(options: SupervisorOptions, context: Context): Promise<Supervisor> {
    const events = new Emitter<HostEvents>(context.log)
    const log = context.log.child({ pipeline: options.entry.name })
    // From the first line on: errors during the import are reported only here.
    events.on('error', (error) => log.warn(error, 'the pipeline threw'))
    events.on('log', ({ level, message, fields }) => log[level]({ ...fields, line: message }, 'the pipeline says'))
    const openProcess: HostOptions['openProcess'] = (request, inside) => options.openProcess(request, false, inside)
    const host = await PipelineHost.open({ ...options, openProcess, revision: FIRST_REVISION, events }, context)
    return new Supervisor(options, context, host, events)
  }

  get closed(): Promise<Closed> {
    return this.#scope.closed
  }

  get status(): SupervisorStatus {
    return this.#keeper.status
  }

  /** The params it returns to between streams, without defaults. */
  get initial(): Values {
    return this.#options.initial
  }

  /** Why it failed, while it is retried only now and then. */
  get error(): AppError | undefined {
    return this.#keeper.error
  }

  /** Total number of restarts. */
  get restarts(): number {
    return this.#keeper.restarts
  }

  get lastRestartAt(): number | undefined {
    return this.#keeper.lastRestartAt
  }

  /** Its stream harmed others; the runner is not kept for the next stream. */
  get alone(): boolean {
    return this.#keeper.alone
  }

  get ready(): boolean {
    return this.#keeper.status.phase === 'ready'
  }

  /** Whether its event loop runs. */
  get responsive(): boolean {
    return this.#keeper.alive && this.#watchdog.pulse.responsive
  }

  get pid(): number | undefined {
    return this.#keeper.alive ? this.#keeper.host.pid : undefined
  }

  get processStartedAt(): number {
    return this.#keeper.host.startedAt
  }

  get readyAt(): number | undefined {
    return this.#keeper.readyAt
  }

  get description(): Description {
    return this.#keeper.host.description
  }

  /** Frames of other epochs are of an earlier stream or load. */
  get epoch(): number {
    return this.#keeper.host.epoch
  }

  /** Begins a stream with all its params. Rejects with `invalid-params`; then nothing has changed. */
  async attach(stream: Stream, params: Values): Promise<{ revision: number; params: Values }> {
    if (this.#params.inForce(params)) {
      // They are known to be valid: nothing to wait for, and nothing that a crash on load could spoil.
      this.#begin(stream)
      this.#tellLease(this.#keeper.host, stream.requestId, FIRST_REVISION, params)
      return { revision: FIRST_REVISION, params: this.#value }
    }
    const reply = await this.#lease(stream.requestId, FIRST_REVISION, params)
    this.#begin(stream)
    return reply
  }

  /**
   * Another publisher joins the stream with its own params: the previous ones count as somebody else's, as at a
   * stream's start. Rejects with `invalid-params`; then nothing has changed.
   */
  async join(given: Values): Promise<{ revision: number; params: Values }> {
    await this.#keeper.soon()
    if (!this.#keeper.alive || !this.#stream) throw this.#gone()
    const params = this.#params.whole(unmasked(given, this.#params.next))
    if (this.#params.inForce(params)) return { revision: this.#revision, params: this.#value }
    return await this.#lease(this.#stream.requestId, this.#revision, params)
  }

  async #lease(requestId: string, revision: number, params: Values): Promise<Reply> {
    const takeBack = this.#params.begin(params)
    try {
      return await this.#keeper.host.lease(requestId, revision, params)
    } catch (thrown) {
      takeBack()
      throw thrown
    }
  }

  /** The params were checked before; a model that blocks its event loop while loading answers late. */
  #tellLease(host: PipelineHost, requestId: string, revision: number, params: Values): void {
    host
      .lease(requestId, revision, params)
      .catch((err) =>
        this.#context.log.debug({ err, pipeline: this.entry.name }, 'the pipeline has not confirmed the lease yet'),
      )
  }

  #begin(stream: Stream): void {
    this.#stream = stream
    this.#revision = FIRST_REVISION
  }

  /** Ends the stream. True if the runner can serve the next one; otherwise this supervisor ends. */
  async detach(): Promise<boolean> {
    this.#stream = undefined
    this.#params.settle()
    if (this.#keeper.alive && !this.#scope.reason) {
      const released = new AbortController()
      try {
        return Boolean(await Promise.race([this.#keeper.host.release(), this.#watchdog.hung(released.signal)]))
      } catch (thrown) {
        this.#context.log.warn({ err: thrown, pipeline: this.entry.name }, 'could not reset the pipeline')
        this.#scope.end({ why: 'stopped' })
        this.#keeper.host.kill(AppError.from(thrown))
      } finally {
        released.abort()
      }
    }
    await this.close()
    return false
  }

  /** Memory for a frame to write; undefined if none is free. */
  take(bytes: number): Uint8Array | undefined {
    return this.ready ? this.#keeper.host.take(bytes) : undefined
  }

  write(frame: VideoFrame): void {
    this.#keeper.host.write(frame)
  }

  /** Where its audio goes; undefined while it takes none. */
  get audioHost(): Pick<PipelineHost, 'writeAudio' | 'audioCounts'> | undefined {
    return this.ready ? this.#keeper.host : undefined
  }

  /** Waits for the next runner if one comes soon; otherwise the params are kept for it, and checked when it starts. */
  async update(mode: UpdateMode, given: Values): Promise<Reply> {
    await this.#keeper.soon()
    const value = unmasked(given, this.#params.next)
    const { alive, host } = this.#keeper
    if (alive) {
      try {
        const reply = await host.update(mode, value)
        if (reply.status === 'applied') this.#params.settle()
        else if (this.#params.waiting) this.#params.update(mode, value)
        return reply
      } catch (thrown) {
        // They may be what ended it, unless it was still busy with a frame; then they may even be the cure.
        if (!host.endedInFrame) throw thrown
      }
    }
    if ((!alive && !this.#keeper.error) || this.#scope.reason) throw this.#gone()
    const params = maskSecrets(this.description.schema, this.#params.update(mode, value))
    return { status: 'accepted', revision: this.#revision, params }
  }

  /** Throws as `update` would if the pipeline refuses the params; passes if no runner can check them now. */
  async check(mode: UpdateMode, value: Values): Promise<void> {
    await this.#keeper.soon()
    const { alive, host } = this.#keeper
    if (!alive && (!this.#keeper.error || this.#scope.reason)) throw this.#gone()
    if (!alive) return
    try {
      await host.check(mode, unmasked(value, this.#params.next))
    } catch (thrown) {
      if (!host.endedInFrame) throw thrown
    }
  }

  #gone(): AppError {
    return this.#keeper.error ?? new AppError('pipeline-failed', 'the stream is over')
  }

  /** Frame counters over its lifetime. */
  frameCounts(): FrameCounts {
    return this.#keeper.frameCounts()
  }

  /** Kills the runner; another one is started. */
  restart(reason: AppError, all = false): void {
    if (this.#keeper.alive) this.#keeper.host.kill(reason, all)
  }

  close(): Promise<Closed> {
    return this.#scope.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #useHost(host: PipelineHost): void {
    if (host.given) this.#params.applied(host.given)
    this.#value = host.params
    this.#watchdog.pulse.begin()
    host.onFrame = (output) => {
      if (this.#stream) this.#stream.onOutput(output)
      else giveBack(output.frame.data)
    }
    host.onAudio = (output) => this.#stream?.onAudio?.(output)
    host.allocate = (bytes) => this.#stream?.allocate?.(bytes) ?? new Uint8Array(bytes)
  }
}
