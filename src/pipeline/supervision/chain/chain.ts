import { nowMs } from '../../../core/clock.ts'
import { Emitter } from '../../../core/emitter.ts'
import { AppError } from '../../../core/errors.ts'
import type { AudioFrame } from '../../../core/media/audio.ts'
import type { Colour } from '../../../core/media/colour.ts'
import type { VideoFrame } from '../../../core/media/frame.ts'
import { FramePool } from '../../../core/media/frame-pool.ts'
import type { Closed, Context } from '../../../core/resource.ts'
import type { Description, UpdateMode, Values } from '../../protocol.ts'
import type { LeaseEvents, LeaseStatus, ParamsReply, PipelineStats } from '../lease/events.ts'
import type { PipelineState } from '../lease/health.ts'
import type { WantedInput } from '../lease/input-form.ts'
import type { Lease, PipelineLease } from '../lease/lease.ts'
import { LeaseMeter } from '../lease/meter.ts'
import type { LeaseParts } from '../lease/parts.ts'
import { ChainAudio } from './audio.ts'
import { relayStages } from './events.ts'
import { Link } from './link.ts'
import { inStage, pointerTo, splitParams, splitUpdate } from './params.ts'
import { chainState, chainStatus, type Stage } from './state.ts'
import { chainStats } from './stats.ts'

export type StageToOpen = {
  key: string
  open(parts: Pick<LeaseParts<PipelineLease>, 'onFrame' | 'onAudio' | 'allocate'>): Promise<PipelineLease>
}

export type ChainOptions = {
  onFrame(frame: VideoFrame, lease: Lease): void
  onAudio?(frame: AudioFrame, lease: Lease): void
  /** Allocates memory for an output of the last stage; default: new memory. */
  allocate?: ((bytes: number) => Uint8Array) | undefined
  colourAt?: ((pts: number) => Colour) | undefined
}

/**
 * One stream's lease of several pipelines: each frame goes through all of them in order, each in its own process. While
 * one of them can take no frame, the others get none either, and keep their models.
 */
export class PipelineChain implements Lease {
  readonly closed: Promise<Closed>
  readonly events: Emitter<LeaseEvents>
  readonly stages: readonly Stage[]
  readonly #links: readonly Link[]
  /** Frames pass around the other stages. */
  readonly #video: readonly Stage[]
  readonly #audio: ChainAudio
  readonly #meter = new LeaseMeter()
  readonly #listening: (() => void)[]
  #state: PipelineState
  #closing = false
  /** Changes of params run one after the other, so that a refused one leaves all stages unchanged. */
  #changing: Promise<unknown> = Promise.resolve()

  private constructor(
    stages: readonly Stage[],
    links: readonly Link[],
    { onAudio }: Pick<ChainOptions, 'onAudio'>,
    context: Context,
  ) {
    this.stages = stages
    this.#video = stages.filter(({ lease }) => lease.takesVideo)
    this.#audio = new ChainAudio(stages, (frame) => onAudio?.(frame, this))
    this.#links = links
    this.events = new Emitter(context.log)
    this.closed = Promise.all(stages.map(({ lease }) => lease.closed)).then(([closed]) => closed!)
    this.#state = chainState(stages)
    this.#listening = relayStages(this, () => this.#assess())
  }

  /** Rejects with the error of a stage, under its key; then nothing is held. */
  static async open(stages: readonly StageToOpen[], options: ChainOptions, context: Context): Promise<PipelineChain> {
    const { onFrame, allocate, colourAt } = options
    let chain: PipelineChain | undefined
    const links: Link[] = []
    const opened = await Promise.allSettled(
      stages.map(async ({ key, open }, at): Promise<Stage> => {
        const isLast = at === stages.length - 1
        const memory = isLast ? undefined : new FramePool()
        const out = (frame: VideoFrame) => {
          chain!.#meter.output(frame.pts, nowMs())
          onFrame(frame, chain!)
        }
        const toNext = (frame: VideoFrame) => (links[at]!.next ? links[at]!.pass(frame) : out(frame))
        const onAudio = (frame: AudioFrame) => chain!.#audio.output(frame, at)
        try {
          const lease = await open({
            onFrame: isLast ? out : toNext,
            onAudio,
            allocate: memory ? memory.take : allocate,
          })
          if (memory) links[at] = new Link(memory, colourAt, context)
          return { key, lease }
        } catch (thrown) {
          throw inStage(key, thrown)
        }
      }),
    )
    const [failed] = opened.filter(({ status }) => status === 'rejected')
    const leased = opened.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
    if (failed?.status === 'rejected') {
      await Promise.all([...links.map((link) => link?.close()), ...leased.map(({ lease }) => lease.close())])
      throw failed.reason
    }
    links.forEach((link, at) => {
      link.next = leased.slice(at + 1).find(({ lease }) => lease.takesVideo)?.lease
    })
    try {
      chain = new PipelineChain(leased, links, options, context)
      return chain
    } catch (thrown) {
      await Promise.all([...links.map((link) => link.close()), ...leased.map(({ lease }) => lease.close())])
      throw thrown
    }
  }

  get pipeline(): string {
    return this.stages.map(({ lease }) => lease.pipeline).join(',')
  }

  get state(): PipelineState {
    return this.#state
  }

  /** False if all stages process audio only. */
  get takesVideo(): boolean {
    return this.#video.length > 0
  }

  get audio(): Description['audio'] {
    return this.#audio.audio
  }

  get audioReady(): boolean {
    return !this.#closing && this.#audio.ready
  }

  get audioLost(): number {
    return this.stages.reduce((sum, { lease }) => sum + lease.audioLost, 0)
  }

  offerAudio(frame: AudioFrame): boolean {
    return !this.#closing && this.#audio.offer(frame)
  }

  /** The form that the first stage wants. */
  get input(): WantedInput {
    return this.#first.input
  }

  /** The status of the first stage that can take no frame; if all can, of the chain since the last one became ready. */
  get status(): LeaseStatus {
    return chainStatus(this.takesVideo ? this.#video : this.stages)
  }

  /** That of the stage that can take no frame. */
  get showReloadingFrame(): boolean {
    return this.stages.every(({ lease }) => lease.status.phase === 'ready' || lease.showReloadingFrame)
  }

  get params(): { revision: number; value: Values } {
    const all = this.stages.map(({ lease }) => lease.params.revision)
    const value = Object.fromEntries(this.stages.map(({ key, lease }) => [key, lease.params.value]))
    return { revision: all.reduce((sum, revision) => sum + revision, 1 - all.length), value }
  }

  get given(): Values {
    return Object.fromEntries(this.stages.map(({ key, lease }) => [key, lease.given]))
  }

  /** Process id of the first stage. */
  get pid(): number | undefined {
    return this.#first.pid
  }

  take(bytes: number): Uint8Array | undefined {
    return this.#first.take(bytes)
  }

  /** Gives the first stage a frame. False if the overlay must be drawn instead, as for a single pipeline. */
  offer(frame: VideoFrame): boolean {
    if (this.#closing || !this.takesVideo) return false
    const now = nowMs()
    this.#meter.input(frame.pts, now)
    const { phase } = this.status
    if (phase !== 'ready' && phase !== 'stalled') {
      for (const { lease } of this.#video) lease.passOver(frame.pts)
      return false
    }
    this.#meter.offered(frame.pts, now)
    // A stalled stage keeps getting frames so that it can recover; drawing may need this frame's memory.
    const given = phase === 'stalled' ? { ...frame, data: frame.data.slice() } : frame
    const taken = this.#first.offer(given)
    if (taken && phase === 'ready') return true
    this.#last.replaced(frame.pts)
    return false
  }

  async join(given: Values): Promise<void> {
    await this.#change(async () => {
      const split = splitParams(this.#keys, given)
      await this.#checkAll(this.stages.map(({ key }) => ({ key, mode: 'replace', value: split.get(key)! })))
      await this.#eachOrNone(this.stages, ({ key, lease }) => lease.join(split.get(key)!))
    })
  }

  /** Throws as for a single pipeline, with the stage's key before all paths; then no stage has changed. */
  async updateParams(mode: UpdateMode, value: Values): Promise<ParamsReply> {
    return await this.#change(async () => {
      const updates = splitUpdate(this.#keys, mode, value)
      // A single update is refused as a whole anyway.
      if (updates.length > 1) await this.#checkAll(updates)
      const named = this.stages.filter(({ key }) => updates.some((update) => update.key === key))
      const replies = await this.#eachOrNone(named, ({ key, lease }) => {
        const update = updates.find((one) => one.key === key)!
        return lease.updateParams(update.mode, update.value)
      })
      const { revision, value: params } = this.params
      const accepted = replies.find(({ status }) => status === 'accepted')
      // Updates of a stage that is loading are shown as they will be.
      const told = { ...params, ...Object.fromEntries(replies.map((reply, at) => [named[at]!.key, reply.params])) }
      return { status: accepted ? 'accepted' : 'applied', revision, params: told, ignored: this.unknownNames(value) }
    })
  }

  unknownNames(value: Values): string[] {
    return this.stages.flatMap(({ key, lease }) => {
      const own = value[key]
      if (typeof own !== 'object' || own === null) return []
      return lease.unknownNames(own as Values).map((name) => `${pointerTo(key)}${name}`)
    })
  }

  stats(): PipelineStats {
    const sum = (read: (link: Link) => number) => this.#links.reduce((total, link) => total + read(link), 0)
    const between = { lost: sum(({ lost }) => lost), inside: sum(({ inside }) => inside) }
    return chainStats(this.stages, this.takesVideo ? this.#video : this.stages, between, this.#meter.latencyMs)
  }

  /** Resolves when all pipelines are released. */
  async close(): Promise<Closed> {
    if (!this.#closing) {
      this.#closing = true
      for (const off of this.#listening) off()
      await Promise.all([...this.stages.map(({ lease }) => lease.close()), ...this.#links.map((link) => link.close())])
    }
    return this.closed
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  get #first(): PipelineLease {
    return (this.#video[0] ?? this.stages[0]!).lease
  }

  get #last(): PipelineLease {
    return (this.#video.at(-1) ?? this.stages.at(-1)!).lease
  }

  get #keys(): string[] {
    return this.stages.map(({ key }) => key)
  }

  #assess(): void {
    const previous = this.#state
    this.#state = chainState(this.stages)
    if (this.#state !== previous) this.events.emit('state', { state: this.#state, previous })
  }

  async #change<T>(act: () => Promise<T>): Promise<T> {
    const before = this.#changing
    const change = (async () => {
      await before
      return await act()
    })()
    this.#changing = change.catch(() => {})
    return await change
  }

  async #checkAll(updates: readonly { key: string; mode: UpdateMode; value: Values }[]): Promise<void> {
    const checks = await Promise.allSettled(
      updates.map(({ key, mode, value }) => this.#stage(key).checkParams(mode, value)),
    )
    const refused = checks.flatMap((check, at) =>
      check.status === 'rejected' ? [inStage(updates[at]!.key, check.reason)] : [],
    )
    if (refused.length === 0) return
    const [first] = refused
    const issues = refused.flatMap((error) => error.issues ?? [])
    const error = new AppError(first!.code, refused.map(({ message }) => message).join('; '), {
      ...(issues.length > 0 && { issues }),
      retryable: first!.retryable,
    })
    const { revision, value: params } = this.params
    this.events.emit('params', { status: 'rejected', revision, params, error: error.toJSON() })
    throw error
  }

  /** If a stage refuses what it accepted before, the others return to what they had. */
  async #eachOrNone<T>(stages: readonly Stage[], act: (stage: Stage) => Promise<T>): Promise<T[]> {
    const before = stages.map(({ lease }) => lease.given)
    const done = await Promise.allSettled(stages.map(act))
    const failed = done.findIndex(({ status }) => status === 'rejected')
    if (failed < 0) return done.map((one) => (one as PromiseFulfilledResult<T>).value)
    await Promise.allSettled(
      stages.map(({ lease }, at) => done[at]!.status === 'fulfilled' && lease.updateParams('replace', before[at]!)),
    )
    throw inStage(stages[failed]!.key, (done[failed] as PromiseRejectedResult).reason)
  }

  #stage(key: string): PipelineLease {
    return this.stages.find((stage) => stage.key === key)!.lease
  }
}
