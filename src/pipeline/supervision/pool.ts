import { statSync } from 'node:fs'
import { totalmem } from 'node:os'
import { mergePatch } from '../../codec/merge-patch.ts'
import { AppError } from '../../core/errors.ts'
import type { VideoFrame } from '../../core/media/frame.ts'
import { type Closed, type Context, type Resource, Scope, sleep } from '../../core/resource.ts'
import { type Catalog, findPipeline } from '../catalog/catalog.ts'
import type { PipelineEntry } from '../catalog/entry.ts'
import { Reaper } from '../host/reaper.ts'
import type { Description, Values } from '../protocol.ts'
import { THRESHOLDS, type Thresholds } from './health.ts'
import { PipelineLease } from './lease.ts'
import { describeRunner } from './prepare.ts'
import { Supervisor } from './supervisor.ts'

export type { Catalog } from '../catalog/catalog.ts'
export type { PipelineState } from './health.ts'
export type { LeaseEvents, LeaseStatus, ParamsReply, PipelineError, PipelineStats } from './lease.ts'
export type { PipelineLease }

/** How long a runner of another than the default pipeline is kept for the next stream. */
const LINGER_MS = 60_000
/** After a lease a new warm runner waits for as long, so that it does not take the stream's start its CPU. */
const REFILL_MS = 2000
/** A default pipeline that does not start is tried again after as long. */
const RETRY_MS = 30_000

export type PoolOptions = {
  catalog: Catalog
  /** For streams that name none. */
  defaultPipeline: string
  /** Over its manifest's own. */
  defaultParams: Values
  /** Loaded runners kept ready for the default pipeline. */
  warm: number
  modelDir: string
  /** At most as many runners at once, warm ones included; streams come first. */
  maxRunners?: number
  /** Bytes of memory of its own that one runner may take; three quarters of the machine's when absent. */
  memoryLimit?: number
  thresholds?: Partial<Thresholds>
}

export type LeaseOptions = {
  pipeline?: string
  params?: Values
  requestId: string
  /** Gets outputs in order, each `pts` greater than the one before. */
  onFrame(frame: VideoFrame): void
  /** Memory for an output; fresh memory when absent. */
  allocate?: (bytes: number) => Uint8Array
}

export type PipelineDescription = {
  name: string
  /** One line, from its class or else its package. */
  description: string
  /** JSON Schema of the params. */
  params: Values
  /** The params in force when a stream sets none. */
  defaults: Values
  /** The frames it wants. */
  input: Description['input']
}

type Idle = { supervisor: Supervisor; expire: NodeJS.Timeout | undefined }

/** All runners of a server: leases them to streams, keeps some warm. */
export class PipelinePool implements Resource {
  readonly #options: PoolOptions
  readonly #context: Context
  readonly #scope: Scope
  readonly #reaper: Reaper
  readonly #thresholds: Thresholds
  readonly #supervisors = new Set<Supervisor>()
  readonly #idle: Idle[] = []
  readonly #descriptions = new Map<string, { mtimeMs: number; description: Promise<Description> }>()
  #refilling = false

  constructor(options: PoolOptions, context: Context, reaper: Reaper) {
    this.#options = options
    this.#context = context
    this.#reaper = reaper
    this.#scope = new Scope(context.signal)
    this.#thresholds = { ...THRESHOLDS, ...options.thresholds }
    this.#scope.use(reaper)
    this.#scope.defer(() => {
      for (const { expire } of this.#idle) clearTimeout(expire)
      return Promise.all([...this.#supervisors].map((supervisor) => supervisor.close()))
    })
    this.#refill(0)
  }

  get closed(): Promise<Closed> {
    return this.#scope.closed
  }

  /** What a pipeline is and takes; asked of a short-lived runner and remembered. Throws `not-found`. */
  async describe(name: string): Promise<PipelineDescription> {
    const entry = findPipeline(this.#options.catalog, name)
    const { mtimeMs } = statSync(entry.entryFile)
    let known = this.#descriptions.get(name)
    if (known?.mtimeMs !== mtimeMs) {
      const { modelDir } = this.#options
      const request = { entry, initial: this.#initial(entry), modelDir, reaper: this.#reaper }
      known = { mtimeMs, description: describeRunner(request, this.#inside()) }
      this.#descriptions.set(name, known)
      known.description.catch(() => this.#descriptions.delete(name))
    }
    const { description = entry.package.description ?? '', schema, defaults, input } = await known.description
    return { name, description, params: schema, defaults, input }
  }

  /**
   * Gives a stream its pipeline; a warm one when there is one. Resolves before the model has loaded. Rejects with
   * `not-found`, `invalid-params`, or `pipeline-failed` when it cannot even be imported.
   */
  async lease(options: LeaseOptions, context: Context): Promise<PipelineLease> {
    const entry = findPipeline(this.#options.catalog, options.pipeline ?? this.#options.defaultPipeline)
    const params = mergePatch(this.#initial(entry), options.params ?? {}) as Values
    const supervisor = this.#takeIdle(entry.name) ?? (await this.#open(entry, params))
    const { requestId, onFrame, allocate } = options
    const thresholds = this.#thresholds
    const onClose = () => this.#release(supervisor)
    try {
      return await PipelineLease.open(
        { supervisor, requestId, params, thresholds, onFrame, allocate, onClose },
        context,
      )
    } catch (thrown) {
      await this.#release(supervisor)
      throw thrown
    } finally {
      this.#refill(REFILL_MS)
    }
  }

  close(): Promise<Closed> {
    return this.#scope.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #inside(): Context {
    return { signal: this.#scope.signal, log: this.#context.log }
  }

  #initial(entry: PipelineEntry): Values {
    const { defaultPipeline, defaultParams } = this.#options
    return entry.name === defaultPipeline ? (mergePatch(entry.params, defaultParams) as Values) : entry.params
  }

  async #open(entry: PipelineEntry, params: Values): Promise<Supervisor> {
    this.#makeRoom()
    const { modelDir, memoryLimit = machineMemory() * 0.75 } = this.#options
    const supervisor = await Supervisor.open(
      {
        entry,
        initial: this.#initial(entry),
        params,
        modelDir,
        reaper: this.#reaper,
        thresholds: this.#thresholds,
        memoryLimit,
      },
      this.#inside(),
    )
    this.#supervisors.add(supervisor)
    void supervisor.closed.then(() => {
      this.#supervisors.delete(supervisor)
      const idle = this.#idle.find((one) => one.supervisor === supervisor)
      if (!idle) return
      this.#takeOut(idle)
      this.#refill(RETRY_MS)
    })
    return supervisor
  }

  /** A loaded one before one that still loads. */
  #takeIdle(name: string): Supervisor | undefined {
    const fitting = this.#idle.filter(
      ({ supervisor }) => supervisor.entry.name === name && supervisor.pid !== undefined,
    )
    const best = fitting.find(({ supervisor }) => supervisor.ready && supervisor.responsive) ?? fitting[0]
    if (!best) return undefined
    return this.#takeOut(best)
  }

  #takeOut(idle: Idle): Supervisor {
    this.#idle.splice(this.#idle.indexOf(idle), 1)
    clearTimeout(idle.expire)
    return idle.supervisor
  }

  #retire(idle: Idle): void {
    void this.#takeOut(idle).close()
  }

  async #release(supervisor: Supervisor): Promise<void> {
    const fit = await supervisor.detach()
    if (this.#scope.reason) await supervisor.close()
    else if (fit) {
      const idle: Idle = { supervisor, expire: undefined }
      if (!this.#isWarm(supervisor)) idle.expire = setTimeout(() => this.#retire(idle), LINGER_MS)
      this.#idle.push(idle)
      this.#thinOut(supervisor.entry.name)
    }
    this.#refill(REFILL_MS)
  }

  #isWarm(supervisor: Supervisor): boolean {
    return supervisor.entry.name === this.#options.defaultPipeline && this.#options.warm > 0
  }

  /** Closes what is more than is to be kept of one pipeline; those that still load first. */
  #thinOut(name: string): void {
    const same = this.#idle.filter(({ supervisor }) => supervisor.entry.name === name)
    const keep = same[0] && this.#isWarm(same[0].supervisor) ? this.#options.warm : 1
    const best = same.sort((a, b) => Number(b.supervisor.ready) - Number(a.supervisor.ready))
    for (const idle of best.slice(keep)) this.#retire(idle)
  }

  /** A stream's runner comes before one that waits for a stream. */
  #makeRoom(): void {
    if (this.#supervisors.size < (this.#options.maxRunners ?? Number.POSITIVE_INFINITY)) return
    const oldest = this.#idle[0]
    if (oldest) this.#retire(oldest)
  }

  #refill(afterMs: number): void {
    if (this.#refilling || this.#scope.reason) return
    this.#refilling = true
    void (async () => {
      try {
        await sleep(afterMs, this.#scope.signal)
        while (this.#wantsWarm()) {
          const entry = findPipeline(this.#options.catalog, this.#options.defaultPipeline)
          const supervisor = await this.#open(entry, this.#initial(entry))
          this.#idle.push({ supervisor, expire: undefined })
        }
      } catch (thrown) {
        if (this.#scope.reason) return
        this.#context.log.error({ err: thrown }, 'the default pipeline does not start')
      } finally {
        this.#refilling = false
      }
    })()
  }

  #wantsWarm(): boolean {
    const { defaultPipeline, warm, maxRunners = Number.POSITIVE_INFINITY } = this.#options
    const waiting = this.#idle.filter(({ supervisor }) => supervisor.entry.name === defaultPipeline).length
    return !this.#scope.reason && waiting < warm && this.#supervisors.size < maxRunners
  }
}

/** Resolves at once; the warm runners load from then on. Throws `not-found` when the default pipeline does not exist. */
export async function openPipelinePool(options: PoolOptions, context: Context): Promise<PipelinePool> {
  findPipeline(options.catalog, options.defaultPipeline)
  if (!Number.isInteger(options.warm) || options.warm < 0)
    throw new AppError('internal', `warm must be a whole number from 0, not ${options.warm}`)
  return new PipelinePool(options, context, await Reaper.open())
}

/** That of the machine, or of the container. */
function machineMemory(): number {
  const constrained = process.constrainedMemory()
  return constrained > 0 ? Math.min(constrained, totalmem()) : totalmem()
}
