import { nowMs } from '../../../core/clock.ts'
import type { Emitter } from '../../../core/emitter.ts'
import { AppError } from '../../../core/errors.ts'
import { aborted, type Closed, type Context, deadline, sleep } from '../../../core/resource.ts'
import { type HostEvents, type HostOptions, PipelineHost } from '../../host/host.ts'
import { combine, type FrameCounts, NO_FRAMES } from '../../host/ring-counters.ts'
import type { Values } from '../../protocol.ts'
import type { SupervisorOptions, SupervisorStatus } from './options.ts'
import type { ParamsToLoad } from './params-to-load.ts'
import { RestartBudget } from './restarts.ts'

/** A runner that was ready this long counts as working. */
const RAN_WELL_MS = 30_000
const NEW_HOST_MS = 15_000

export type KeeperOptions = {
  supervisor: SupervisorOptions
  params: ParamsToLoad
  hostEvents: Emitter<HostEvents>
  /** Base of a stream's param revisions. */
  revision(): number
  /** Whether a stream uses the pipeline: without one, a pipeline that keeps failing is given up. */
  streaming(): boolean
  /** A runner is running, the first one or a later one. */
  onHost(host: PipelineHost): void
  /** Another runner took over, with these params. */
  onRestarted(host: PipelineHost, params: Values): void
  onStatus(status: SupervisorStatus): void
  /** A runner ended and another is started. */
  onRestart(restart: { count: number; reason: AppError; lines: string[] }): void
}

/** Keeps a runner alive: whenever one ends, another is started, quickly at first and then now and then. */
export class HostKeeper {
  host: PipelineHost
  /** False between the end of one runner and the next one. */
  alive = true
  status: SupervisorStatus
  /** Why it failed, while it is retried only now and then. */
  error: AppError | undefined
  /** Total number of restarts. */
  restarts = 0
  lastRestartAt: number | undefined
  /** When the runner became ready, on the clock of `nowMs`. */
  readyAt: number | undefined
  /** Its stream ended or hung a process that others shared. */
  alone = false
  /** It may have done so. */
  #suspect = false
  readonly #options: KeeperOptions
  readonly #context: Context
  readonly #name: string
  readonly #budget = new RestartBudget()
  #nextHost = Promise.withResolvers<void>()
  #past: FrameCounts = NO_FRAMES

  constructor(host: PipelineHost, options: KeeperOptions, context: Context) {
    this.host = host
    this.#options = options
    this.#context = context
    this.#name = options.supervisor.entry.name
    this.status = { phase: 'loading', since: nowMs(), text: `Loading ${this.#name}` }
    options.hostEvents.on('phase', () => {
      // A runner that is not attached yet is checked when it is.
      if (this.alive) this.#onPhase()
    })
  }

  /** Takes the first runner into use; call once. */
  begin(): void {
    this.#attach(this.host)
  }

  /** Runs until the signal aborts. */
  async run(signal: AbortSignal): Promise<Closed> {
    for (;;) {
      await Promise.race([this.host.closed, aborted(signal)])
      if (signal.aborted) return { why: 'stopped' }
      const { error } = await this.host.closed
      this.alone ||= error?.details?.alone === true
      this.#suspect = error?.details?.suspect === true
      this.alive = false
      this.#past = combine(this.#past, this.host.frameCounts(), 1)
      if (this.readyAt !== undefined && nowMs() - this.readyAt > RAN_WELL_MS) this.#budget.ranWell()
      this.readyAt = undefined
      await this.#startAgain(error ?? new AppError('pipeline-failed', 'the pipeline ended its process'), signal)
    }
  }

  /** Waits while a runner is restarting. */
  async soon(): Promise<void> {
    if (!this.alive && !this.error) await deadline(this.#nextHost.promise, NEW_HOST_MS, 'the restart of the pipeline')
  }

  /** Frame counters over all its runners. */
  frameCounts(): FrameCounts {
    return this.alive ? combine(this.#past, this.host.frameCounts(), 1) : this.#past
  }

  async #startAgain(reason: AppError, signal: AbortSignal): Promise<void> {
    const { streaming, onRestart, params, onRestarted } = this.#options
    const { log } = this.#context
    let why = reason
    for (;;) {
      const { delayMs, quick } = this.#budget.next()
      const facts = { err: why, pipeline: this.#name, restart: this.#budget.used }
      if (quick) {
        log.warn(facts, 'restarting the pipeline')
        this.#enter('restarting', `Restarting ${this.#name} (${this.#budget.used} of ${this.#budget.limit})`)
      } else {
        this.error = why
        this.#nextHost.resolve()
        this.#enter('failed', `${this.#name} failed`)
        log.error({ ...facts, delayMs }, 'the pipeline keeps failing and is retried later')
        if (!streaming()) throw why
        await sleep(delayMs, signal)
      }
      this.restarts++
      this.lastRestartAt = nowMs()
      const lines = (why.details?.lines ?? []) as string[]
      onRestart({ count: this.restarts, reason: why, lines })
      if (quick) await sleep(delayMs, signal)
      try {
        const given = params.next
        const host = await this.#open(given, signal)
        params.taken()
        this.#attach(host)
        onRestarted(host, given)
        return
      } catch (thrown) {
        signal.throwIfAborted()
        why = AppError.from(thrown)
        if (why.code === 'invalid-params') params.refused()
      }
    }
  }

  #open(params: Values, signal: AbortSignal): Promise<PipelineHost> {
    const { supervisor, hostEvents: events, revision } = this.#options
    const openProcess: HostOptions['openProcess'] = (request, inside) =>
      supervisor.openProcess(request, this.alone, inside)
    return PipelineHost.open(
      { ...supervisor, params, revision: revision(), events, suspect: this.#suspect, openProcess },
      { ...this.#context, signal },
    )
  }

  #attach(host: PipelineHost): void {
    this.host = host
    this.alive = true
    this.#options.onHost(host)
    this.#nextHost.resolve()
    this.#nextHost = Promise.withResolvers()
    if (host.phase !== 'loading') this.#onPhase()
  }

  #onPhase(): void {
    const { phase, phaseSince } = this.host
    if (phase === 'ready') {
      this.readyAt = phaseSince
      this.error = undefined
      this.#enter('ready', `${this.#name} is ready`)
    } else if (phase === 'reloading') this.#enter('reloading', `Reloading ${this.#name}`)
  }

  #enter(phase: SupervisorStatus['phase'], text: string): void {
    this.status = { phase, since: nowMs(), text }
    this.#options.onStatus(this.status)
  }
}
