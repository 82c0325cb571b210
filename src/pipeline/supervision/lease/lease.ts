import { nowMs } from '../../../core/clock.ts'
import { Emitter } from '../../../core/emitter.ts'
import { AppError } from '../../../core/errors.ts'
import type { AudioFrame } from '../../../core/media/audio.ts'
import type { VideoFrame } from '../../../core/media/frame.ts'
import { giveBack } from '../../../core/media/frame-pool.ts'
import type { Closed, Context, Resource } from '../../../core/resource.ts'
import { combine, type FrameCounts } from '../../host/ring-counters.ts'
import type { Description, UpdateMode, Values } from '../../protocol.ts'
import type { EpochAudio } from '../../ring/audio-ring.ts'
import { difference, type EpochFrame } from '../../ring/frame-ring.ts'
import type { Supervisor } from '../supervisor/supervisor.ts'
import { LeaseAudio } from './audio.ts'
import type { LeaseEvents, LeaseStatus, ParamsReply, PipelineStats } from './events.ts'
import { Faults } from './faults.ts'
import { LeaseFrames } from './frames.ts'
import type { PipelineState } from './health.ts'
import { type WantedInput, wantedInput } from './input-form.ts'
import type { LeaseParts } from './parts.ts'
import { StateWatch } from './state-watch.ts'
import { unknownNames } from './unknown-names.ts'

/** A stream's lease of a pipeline or of a chain. */
export type Lease = Pick<PipelineLease, Exclude<keyof PipelineLease, keyof ForChain>>
type ForChain = Pick<PipelineLease, 'forward' | 'replaced' | 'passOver' | 'checkParams'>

/** One stream's lease of a pipeline. */
export class PipelineLease implements Resource {
  readonly closed: Promise<Closed>
  readonly events: Emitter<LeaseEvents>
  /** The params in effect, without defaults. */
  given: Values
  readonly #parts: LeaseParts<PipelineLease>
  readonly #supervisor: Supervisor
  readonly #context: Context
  readonly #audio: LeaseAudio
  readonly #faults: Faults
  readonly #frames: LeaseFrames
  readonly #state: StateWatch
  readonly #listening: (() => void)[] = []
  readonly #baseCounts: FrameCounts
  readonly #baseRestarts: number
  readonly #settle: (closed: Closed) => void
  #finalCounts: FrameCounts | undefined
  #params: { revision: number; value: Values }
  #lastParamsAt: number | undefined
  #lastRestart: PipelineStats['lastRestart']
  #closing = false

  private constructor(parts: LeaseParts<PipelineLease>, params: { revision: number; value: Values }, context: Context) {
    const { supervisor, thresholds } = parts
    const { promise, resolve } = Promise.withResolvers<Closed>()
    this.closed = promise
    this.#settle = resolve
    this.#parts = parts
    this.#supervisor = supervisor
    this.#context = context
    this.#params = params
    this.given = parts.params
    this.#audio = new LeaseAudio(supervisor)
    this.#baseCounts = this.#supervisor.frameCounts()
    this.#baseRestarts = this.#supervisor.restarts
    this.events = new Emitter(context.log)
    this.#faults = new Faults((error) => this.events.emit('error', error))
    const [faults, audio, lastParamsAt] = [this.#faults, this.#audio, () => this.#lastParamsAt]
    this.#frames = new LeaseFrames({
      ...{ supervisor, faults, lastParamsAt },
      input: () => this.input,
      onStall: () => this.events.emit('status', this.status),
    })
    this.#state = new StateWatch({
      ...{ supervisor, thresholds, frames: this.#frames, audio, faults, lastParamsAt },
      closing: () => this.#closing,
      onState: (change) => this.events.emit('state', change),
    })
    this.#listen()
    this.#state.assess()
    context.signal?.addEventListener('abort', this.#onAbort, { once: true })
    if (context.signal?.aborted) this.#onAbort()
  }

  /** Rejects with `invalid-params`; the supervisor is then unchanged. */
  static async open(parts: LeaseParts<PipelineLease>, context: Context): Promise<PipelineLease> {
    let lease: PipelineLease | undefined
    const onOutput = (output: EpochFrame) => {
      if (lease) lease.#receive(output)
      else giveBack(output.frame.data)
    }
    const onAudio = (audio: EpochAudio) => (lease ? lease.#receiveAudio(audio) : undefined)
    const reply = await parts.supervisor.attach(
      { requestId: parts.requestId, onOutput, onAudio, allocate: parts.allocate },
      parts.params,
    )
    lease = new PipelineLease(parts, { revision: reply.revision, value: reply.params }, context)
    return lease
  }

  get pipeline(): string {
    return this.#supervisor.entry.name
  }

  /** The stages of a chain with the keys of their params; empty for a single pipeline. */
  get stages(): readonly { key: string; lease: PipelineLease }[] {
    return []
  }

  get state(): PipelineState {
    return this.#state.state
  }

  /** The form to decode to; the resolution follows the params. */
  get input(): WantedInput {
    return wantedInput(this.#supervisor.description.input, this.#params.value)
  }

  /** False if the pipeline processes audio only: frames pass around it. */
  get takesVideo(): boolean {
    return this.#supervisor.description.video
  }

  /** Its audio spec; undefined if audio passes around it. */
  get audio(): Description['audio'] {
    return this.#supervisor.description.audio
  }

  /** Whether it can take audio now. */
  get audioReady(): boolean {
    return !this.#closing && this.#supervisor.ready
  }

  /** Output audio dropped on the way here. */
  get audioLost(): number {
    return this.#audio.lost
  }

  /** Gives the pipeline audio in the form of `audio`. False if it cannot take it. */
  offerAudio(frame: AudioFrame): boolean {
    return !this.#closing && this.#audio.offer(frame, nowMs())
  }

  get status(): LeaseStatus {
    const { status } = this.#supervisor
    const { stalledSince } = this.#frames
    if (status.phase !== 'ready' || stalledSince === undefined) return status
    return { phase: 'stalled', since: stalledSince, text: `Waiting for ${this.pipeline}` }
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

  /** Memory for a frame that will be offered, which saves a copy; undefined if none is free. */
  take(bytes: number): Uint8Array | undefined {
    return this.#closing || !this.takesVideo ? undefined : this.#supervisor.take(bytes)
  }

  /**
   * Gives the pipeline a frame in the form of `input`. False if something must be drawn for it instead: no output of
   * this frame or an earlier one will be delivered any more. If true, memory from `take` belongs to the pipeline.
   */
  offer(frame: VideoFrame): boolean {
    if (this.#closing) return false
    return this.#frames.offer(frame)
  }

  /**
   * Like `offer`, for an output of the previous stage of a chain, in the form of `input`. False if the frame is
   * dropped.
   */
  forward(frame: VideoFrame): boolean {
    return !this.#closing && this.#frames.forward(frame)
  }

  /** Something was drawn for a frame with this time: no output up to it is delivered any more. */
  replaced(pts: number): void {
    this.#frames.replaced(pts)
  }

  /** A frame is held back because another stage of the chain can take none, and something is drawn for it. */
  passOver(pts: number): void {
    this.#frames.passOver(pts)
  }

  /** Throws as `updateParams` would if the pipeline refuses the params; changes nothing. */
  async checkParams(mode: UpdateMode, value: Values): Promise<void> {
    await this.#supervisor.check(mode, value)
  }

  /** A publisher joins with its own params, which apply as at a start. Throws like `updateParams`. */
  async join(given: Values): Promise<void> {
    const { revision, params } = await this.#supervisor.join(given)
    this.#params = { revision, value: params }
  }

  /** Throws `invalid-params` with issues, `conflict` or `pipeline-failed`; the previous params then stay in effect. */
  async updateParams(mode: UpdateMode, value: Values): Promise<ParamsReply> {
    try {
      const { status, revision, params } = await this.#supervisor.update(mode, value)
      return { status, revision, params, ignored: this.unknownNames(value) }
    } catch (thrown) {
      const error = AppError.from(thrown)
      const { revision, value: params } = this.#params
      this.events.emit('params', { status: 'rejected', revision, params, error: error.toJSON() })
      throw error
    }
  }

  /** JSON Pointers of the names that the pipeline does not know. */
  unknownNames(value: Values): string[] {
    return unknownNames(this.#supervisor.description.schema, value)
  }

  stats(): PipelineStats {
    const now = nowMs()
    const { offered, inside, beforePipeline, afterPipeline, failed, arrived } = this.#frameCounts()
    // Of the outputs that arrived, the gate refused some, and some came after the stream's end.
    const undelivered = difference(arrived - this.#frames.meter.delivered)
    const time = (at: number | undefined) => at && Math.round(Date.now() - (now - at))
    return {
      ...this.#frames.meter.rates(now),
      lastInputTime: time(this.#frames.meter.lastInputAt),
      lastOutputTime: time(this.#frames.meter.lastOutputAt),
      lastParamsTime: time(this.#lastParamsAt),
      lastError: this.#faults.last,
      lastRestart: this.#lastRestart,
      restarts: this.#supervisor.restarts - this.#baseRestarts,
      dropped: { beforePipeline, afterPipeline: afterPipeline + undelivered, failed },
      frames: { in: offered, out: this.#frames.meter.delivered, inside },
      latencyMs: this.#frames.meter.latencyMs,
      pid: this.pid,
    }
  }

  /** Resolves when the pipeline is released. */
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

  readonly #onAbort = () => void this.close()

  #receive(output: EpochFrame): void {
    if (!this.#frames.receive(output)) return
    try {
      this.#parts.onFrame(output.frame, this)
    } catch (err) {
      this.#context.log.error({ err, pipeline: this.pipeline }, 'the stream failed on an output')
    }
  }

  #receiveAudio({ frame, epoch }: EpochAudio): void {
    if (this.#closing || epoch !== this.#supervisor.epoch) return
    this.#audio.arrived(nowMs())
    this.#parts.onAudio?.(frame, this)
  }

  #listen(): void {
    const { events } = this.#supervisor
    this.#listening.push(
      events.on('tick', () => this.#state.assess()),
      events.on('status', () => {
        this.#frames.reset()
        this.events.emit('status', this.status)
        this.#state.assess()
      }),
      events.on('params', ({ revision, params, given }) => {
        this.given = given
        this.#params = { revision, value: params }
        this.#lastParamsAt = nowMs()
        this.events.emit('params', { status: 'applied', revision, params })
      }),
      events.on('data', (data) => this.events.emit('data', data)),
      events.on('error', (error) => this.#faults.note(error)),
      events.on('log', ({ level, message, fields }) =>
        this.events.emit('log', { level, line: message, ...(fields && { fields }) }),
      ),
      events.on('restart', ({ count, reason, lines }) => {
        this.#faults.note({ message: reason.message, during: 'process', count: 1 })
        this.#lastRestart = { time: Date.now(), logs: lines }
        this.events.emit('restart', {
          count: count - this.#baseRestarts,
          reason: reason.message,
          logs: lines,
          error: reason,
        })
      }),
    )
  }

  #frameCounts(): FrameCounts {
    return this.#finalCounts ?? combine(this.#supervisor.frameCounts(), this.#baseCounts, -1)
  }
}
