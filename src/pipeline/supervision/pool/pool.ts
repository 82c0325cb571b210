import { totalmem } from 'node:os'
import { mergePatch } from '../../../codec/merge-patch.ts'
import { AppError } from '../../../core/errors.ts'
import { unmasked } from '../../../core/masked.ts'
import { type Closed, type Context, type Resource, Scope, sleep } from '../../../core/resource.ts'
import { findChain, plainName } from '../../catalog/chain-name.ts'
import { Processes } from '../../host/processes.ts'
import { Reaper } from '../../host/reaper.ts'
import type { Values } from '../../protocol.ts'
import { PipelineChain } from '../chain/chain.ts'
import { describeChain } from '../chain/description.ts'
import { splitParams } from '../chain/params.ts'
import { THRESHOLDS, type Thresholds } from '../lease/health.ts'
import { type Lease, PipelineLease } from '../lease/lease.ts'
import type { LeaseParts } from '../lease/parts.ts'
import { Supervisor } from '../supervisor/supervisor.ts'
import { Descriptions, mtimeOf } from './descriptions.ts'
import { IdleRunners, isOfKind, type Kind } from './idle-runners.ts'
import type { LeaseOptions, PipelineDescription, PoolOptions } from './options.ts'
import { checkParts, isSameKind, keysOf, type Stage, stagesOf } from './stages.ts'

export type { ParamsReply } from '../lease/events.ts'
export type { Lease as PipelineLease } from '../lease/lease.ts'
export type { LeaseOptions, PoolOptions } from './options.ts'

/** How long a runner of a non-default pipeline is kept for the next stream. */
const LINGER_MS = 60_000
/** After a lease, a new warm runner waits this long so that it does not take CPU from the stream's start. */
const REFILL_MS = 2000
/** A default pipeline that does not start is retried after this time. */
const RETRY_MS = 30_000

/** All runners of a server: leases them to streams and keeps some warm. */
export class PipelinePool implements Resource {
  readonly #options: PoolOptions
  readonly #context: Context
  readonly #scope: Scope
  readonly #reaper: Reaper
  readonly #thresholds: Thresholds
  readonly #supervisors = new Set<Supervisor>()
  readonly #idle = new IdleRunners()
  readonly #descriptions: Descriptions
  readonly #processes = new Processes()
  /** Modification time of the code that they run. */
  readonly #mtimes = new WeakMap<Supervisor, number>()
  /** These run code that has been replaced since, and are not kept for the next stream. */
  readonly #outdated = new WeakSet<Supervisor>()
  #refilling = false

  constructor(options: PoolOptions, context: Context, reaper: Reaper) {
    this.#options = options
    this.#context = context
    this.#reaper = reaper
    this.#scope = new Scope(context.signal)
    this.#descriptions = new Descriptions({ modelDir: options.modelDir, folder: options.descriptionDir }, reaper)
    this.#thresholds = { ...THRESHOLDS, ...options.thresholds }
    this.#scope.use(reaper)
    this.#scope.defer(() => {
      this.#idle.stopTimers()
      return Promise.all([...this.#supervisors].map((supervisor) => supervisor.close()))
    })
    this.#refill(0)
  }

  /** The pipeline of streams that name none. */
  get defaultPipeline(): string {
    return this.#options.defaultPipeline
  }

  get closed(): Promise<Closed> {
    return this.#scope.closed
  }

  /** Describes a pipeline or a chain, by asking short-lived runners; cached. Throws `not-found`. */
  async describe(name: string): Promise<PipelineDescription> {
    const described = await Promise.all(
      this.#stages(name).map(async ({ key, entry, initial }) => {
        const description = await this.#descriptions.of(entry, initial, this.#inside())
        return {
          key,
          description: { ...description, description: description.description ?? entry.package.description },
        }
      }),
    )
    const whole = described.length > 1 ? describeChain(described) : described[0]!.description
    const { description = '', schema, defaults, input, video, audio, streams } = whole
    const told = { description, params: schema, defaults, input, video, streams }
    return { name: plainName(name), ...told, ...(audio && { audio }) }
  }

  /** Throws `invalid-request` if the schema refuses the default params; other problems are reported to the stream. */
  async checkDefaults(): Promise<void> {
    const { defaultPipeline, defaultParams } = this.#options
    for (const stage of this.#stages(defaultPipeline)) {
      try {
        const supervisor = await this.#open(stage, stage.initial)
        if (this.#wantsWarm(stage)) this.#idle.add(supervisor)
        else await supervisor.close()
      } catch (thrown) {
        const { code, message, issues } = AppError.from(thrown)
        if (code !== 'invalid-params' || Object.keys(defaultParams).length === 0) continue
        throw new AppError('invalid-request', `PIPELINE_PARAMS: ${message} (${stage.entry.name})`, {
          ...(issues && { issues }),
        })
      }
    }
  }

  /**
   * Leases a pipeline or a chain to a stream, with warm runners if there are any. Resolves before the models have
   * loaded. Rejects with `not-found`, `invalid-params`, or `pipeline-failed` if a pipeline cannot even be imported;
   * nothing is held then.
   */
  async lease(options: LeaseOptions, context: Context): Promise<Lease> {
    const { requestId, params = {}, onFrame, onAudio, allocate, colourAt } = options
    const stages = this.#stages(options.pipeline)
    try {
      if (stages.length === 1)
        return await this.#lease(stages[0]!, { requestId, params, onFrame, onAudio, allocate }, context)
      const split = splitParams(keysOf(stages), params)
      return await PipelineChain.open(
        stages.map((stage) => ({
          key: stage.key,
          open: (parts) => this.#lease(stage, { requestId, params: split.get(stage.key)!, ...parts }, context),
        })),
        { onFrame, onAudio, allocate, colourAt },
        context,
      )
    } finally {
      this.#refill(REFILL_MS)
    }
  }

  /** The code of a pipeline, or of all in a chain, has changed: later leases load the new code. */
  renew(name: string): void {
    for (const part of new Set(plainName(name).split(','))) this.#renew(part)
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

  #stages(name: string | undefined): Stage[] {
    return stagesOf(name, this.#options)
  }

  async #lease(
    stage: Stage,
    given: Pick<LeaseOptions, 'requestId'> & {
      params: Values
      onFrame: (frame: Parameters<LeaseOptions['onFrame']>[0], lease: PipelineLease) => void
      onAudio?: LeaseParts<PipelineLease>['onAudio']
      allocate?: LeaseOptions['allocate'] | undefined
    },
    context: Context,
  ): Promise<PipelineLease> {
    const { requestId, onFrame, onAudio, allocate } = given
    const params = mergePatch(stage.initial, unmasked(given.params, stage.initial)) as Values
    const supervisor = this.#takeIdle(stage) ?? (await this.#open(stage, params))
    const thresholds = this.#thresholds
    const onClose = () => this.#release(supervisor)
    try {
      return await PipelineLease.open(
        { supervisor, requestId, params, thresholds, onFrame, onAudio, allocate, onClose },
        context,
      )
    } catch (thrown) {
      await this.#release(supervisor)
      throw thrown
    }
  }

  async #open(kind: Kind, params: Values): Promise<Supervisor> {
    if (this.#full) this.#idle.retireOldest()
    const mtimeMs = mtimeOf(kind.entry)
    const { modelDir, memoryLimit = machineMemory() * 0.75 } = this.#options
    const supervisor = await Supervisor.open(
      {
        entry: kind.entry,
        initial: kind.initial,
        params,
        modelDir,
        reaper: this.#reaper,
        thresholds: this.#thresholds,
        memoryLimit,
        openProcess: (request, alone, context) =>
          this.#processes.open({ ...request, mtimeMs: mtimeOf(kind.entry), alone }, context),
      },
      this.#inside(),
    )
    this.#supervisors.add(supervisor)
    this.#mtimes.set(supervisor, mtimeMs)
    void supervisor.closed.then(() => {
      this.#supervisors.delete(supervisor)
      if (this.#idle.remove(supervisor)) this.#refill(RETRY_MS)
    })
    return supervisor
  }

  #takeIdle(kind: Kind): Supervisor | undefined {
    const { name } = kind.entry
    const mtimeMs = mtimeOf(kind.entry)
    const changed = (one: Supervisor) => one.entry.name === name && this.#mtimes.get(one) !== mtimeMs
    if (this.#idle.some(changed)) this.#renew(name)
    return this.#idle.take(kind)
  }

  #renew(name: string): void {
    this.#descriptions.forget(name)
    this.#processes.renew(name)
    for (const supervisor of this.#supervisors) if (supervisor.entry.name === name) this.#outdated.add(supervisor)
    this.#idle.retireAll(name)
  }

  async #release(supervisor: Supervisor): Promise<void> {
    const fit = await supervisor.detach()
    if (this.#scope.reason || (fit && (this.#outdated.has(supervisor) || supervisor.alone))) await supervisor.close()
    else if (fit) {
      const warm = this.#warmOf(supervisor)
      this.#idle.add(supervisor, warm > 0 ? undefined : LINGER_MS)
      this.#idle.thinOut(supervisor, Math.max(1, warm))
    }
    this.#refill(REFILL_MS)
  }

  /** How many runners like this one are kept waiting for streams. */
  #warmOf(supervisor: Supervisor): number {
    const { defaultPipeline, warm } = this.#options
    return warm * this.#stages(defaultPipeline).filter((stage) => isOfKind(supervisor, stage)).length
  }

  #refill(afterMs: number): void {
    if (this.#refilling || this.#scope.reason) return
    this.#refilling = true
    void (async () => {
      try {
        await sleep(afterMs, this.#scope.signal)
        for (const stage of this.#stages(this.#options.defaultPipeline)) {
          while (this.#wantsWarm(stage)) {
            const supervisor = await this.#open(stage, stage.initial)
            this.#idle.add(supervisor)
            // A stream may have released its runner while this one was opening.
            this.#idle.thinOut(stage, this.#warmOf(supervisor))
          }
        }
      } catch (thrown) {
        if (this.#scope.reason) return
        this.#context.log.error({ err: thrown }, 'could not start the default pipeline')
      } finally {
        this.#refilling = false
      }
    })()
  }

  #wantsWarm(stage: Stage): boolean {
    const { defaultPipeline, warm } = this.#options
    const alike = this.#stages(defaultPipeline).filter((one) => isSameKind(one, stage)).length
    return !this.#scope.reason && this.#idle.count(stage) < warm * alike && !this.#full
  }

  /** A stream's runner has priority over a waiting one. */
  get #full(): boolean {
    return this.#supervisors.size >= (this.#options.maxRunners ?? Number.POSITIVE_INFINITY)
  }
}

/** Resolves at once; the warm runners load from then on. Throws `not-found` if the default pipeline does not exist. */
export async function openPipelinePool(options: PoolOptions, context: Context): Promise<PipelinePool> {
  const parts = findChain(options.catalog, options.defaultPipeline)
  if (!Number.isInteger(options.warm) || options.warm < 0)
    throw new AppError('internal', `warm must be a whole number from 0, not ${options.warm}`)
  if (parts.length > 1) checkParts(parts, options.defaultParams)
  return new PipelinePool(options, context, await Reaper.open())
}

/** Memory of the machine, or of the container. */
function machineMemory(): number {
  const constrained = process.constrainedMemory()
  return constrained > 0 ? Math.min(constrained, totalmem()) : totalmem()
}
