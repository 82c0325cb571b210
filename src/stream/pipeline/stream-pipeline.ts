import { randomUUID } from 'node:crypto'
import { nowMs } from '../../core/clock.ts'
import { AppError } from '../../core/errors.ts'
import { unmasked } from '../../core/masked.ts'
import type { AudioFrame } from '../../core/media/audio.ts'
import type { Colour } from '../../core/media/colour.ts'
import type { VideoFrame } from '../../core/media/frame.ts'
import { giveBack } from '../../core/media/frame-pool.ts'
import type { Context } from '../../core/resource.ts'
import { plainName } from '../../pipeline/catalog/chain-name.ts'
import type { LeaseOptions, ParamsReply, PipelineLease, PipelinePool } from '../../pipeline/supervision/pool/pool.ts'
import { formOf, sameForm } from '../input/form.ts'
import type { Beside } from '../input/video-decoding.ts'
import { hashParams } from '../params.ts'
import { firstOutput } from './first-output.ts'
import { addLosses, type Losses, lossesOf, NO_LOSSES } from './losses.ts'
import { leaseWithFitting, loaded, updateWithFitting } from './next-lease.ts'
import { type RelayOptions, relay, relayLog } from './relay.ts'
import { Takeover } from './takeover.ts'
import { Turns } from './turns.ts'

type Values = Record<string, unknown>

export type StreamPipelineOptions = RelayOptions & {
  /** The stream's name. */
  name: string
  pool: PipelinePool
  /** Allocates memory for outputs that are copied. */
  allocate(bytes: number): Uint8Array
  onOutput(frame: VideoFrame): void
  /** Colours of the frame with this time. */
  colourAt(pts: number): Colour
  onAudio(frame: AudioFrame, lease: PipelineLease): void
  /** Time of the newest frame sent to viewers. */
  shown(): number
  /** Prepares the outputs for frames like this one; its memory is reused after the call. */
  prepare(frame: VideoFrame): Promise<void>
  /** Also decodes in another form, for a pipeline that is about to take over; undefined while nothing is decoded. */
  openBeside(lease: PipelineLease): Promise<Beside | undefined>
  /** Another pipeline has taken over. */
  onSwap(lease: PipelineLease): void
}

export type SwapOptions = {
  /** By default the pipeline’s own; for the running pipeline, the current ones that still fit. */
  params?: Values
  /** Starts a new runner, so that the code is reloaded. */
  fresh?: boolean
  /** Adds details to the error if it fails. */
  explain?: (error: AppError) => AppError
}

export type ParamsState = { pipeline: string; revision: number; hash: string; params: Values }

/** The pipeline that a stream holds from its first publisher on; its events become events of the stream. */
export class StreamPipeline {
  readonly #options: StreamPipelineOptions
  readonly #context: Context
  #lease: PipelineLease | undefined
  #listening: (() => void)[] = []
  #swapping: AbortController | undefined
  readonly #turns = new Turns()
  #takeover: Takeover | undefined
  #lastInputAt = Number.NEGATIVE_INFINITY
  /** Losses of earlier pipelines, and of this one before it was on air. */
  #past = NO_LOSSES

  constructor(options: StreamPipelineOptions, context: Context) {
    this.#options = options
    this.#context = context
  }

  get lease(): PipelineLease | undefined {
    return this.#lease
  }

  /** @throws AppError `conflict` before the first publisher. */
  need(): PipelineLease {
    if (!this.#lease) {
      throw new AppError(
        'conflict',
        `the stream "${this.#options.name}" still waits for its publisher and has no pipeline yet`,
        { retryable: true },
      )
    }
    return this.#lease
  }

  get params(): ParamsState {
    return stateOf(this.need())
  }

  /** @throws AppError as the pipeline answers; then nothing has changed. */
  async updateParams(mode: 'merge' | 'replace', value: Values): Promise<ParamsReply & { hash: string }> {
    const reply = await this.need().updateParams(mode, value)
    this.#tellIgnored(reply.ignored)
    return { ...reply, hash: hashParams(reply.params) }
  }

  /** Losses of the stream's frames, over all its pipelines. */
  get losses(): Losses {
    return this.#lease ? addLosses(this.#past, lossesOf(this.#lease.stats())) : this.#past
  }

  /**
   * Leases the pipeline for a publisher. An earlier publisher's pipeline is kept, unless this one names another or it
   * has failed.
   */
  async use(wanted: string | undefined, params: Values | undefined): Promise<PipelineLease> {
    const current = this.#lease
    const pipeline = wanted === undefined ? current?.pipeline : plainName(wanted)
    if (current && current.pipeline === pipeline && current.status.phase !== 'failed') {
      if (params) {
        await current.join(params)
        this.#tellIgnored(current.unknownNames(params))
      }
      return current
    }
    const { pool } = this.#options
    const lease = await pool.lease(this.#leaseOptions(pipeline, params), this.#context)
    this.#swapping?.abort(conflict('a publisher brought another pipeline'))
    this.#putOnAir(lease)
    if (params) this.#tellIgnored(lease.unknownNames(params))
    await current?.close()
    return lease
  }

  /**
   * Swaps to another pipeline, or to the same one with its code reloaded: it loads and gets frames while the old one is
   * on air, and takes over with its first output. Without params it starts with its own; if it is the same pipeline it
   * keeps those that fit.
   * @throws AppError with the reason if it fails; the old one then stays on air.
   */
  async swap(name: string, swap: SwapOptions = {}): Promise<ParamsState & { ignored: string[] }> {
    const pipeline = plainName(name)
    this.need()
    const { events, pool } = this.#options
    const { fresh = false, explain = (error) => error } = swap
    this.#swapping?.abort(conflict('another change of the pipeline came after this one'))
    const swapping = new AbortController()
    this.#swapping = swapping
    const freeTurn = await this.#turns.take(swapping.signal)
    const from = this.need()
    // Masked secrets in the given params are those of this same pipeline.
    const params = swap.params && pipeline === from.pipeline ? unmasked(swap.params, from.given) : swap.params
    events.emit({ type: 'pipeline', status: 'loading', pipeline })
    let to: PipelineLease | undefined
    let offLog = () => {}
    let notWanted: Promise<unknown> | undefined
    try {
      const again = pipeline === from.pipeline
      if (again || fresh) pool.renew(pipeline)
      const kept = again && !params
      const { revision } = from.params
      const options = { ...this.#leaseOptions(pipeline, params), params: params ?? (kept ? from.given : {}) }
      to = await (kept ? leaseWithFitting(pool, options, this.#context) : pool.lease(options, this.#context))
      // As for the pipeline on air, so that its author sees its output while it loads.
      offLog = relayLog(to, events)
      await loaded(to, swapping.signal)
      // An earlier swap may have gone on air meanwhile.
      const now = this.need()
      if (kept && now.pipeline === pipeline && (now !== from || now.params.revision !== revision))
        await updateWithFitting(to, now.given)
      await this.#takeOver(now, to, swapping.signal, () => offLog())
      const ignored = params ? to.unknownNames(params) : []
      this.#tellIgnored(ignored)
      events.emit({ type: 'pipeline', status: 'on-air', pipeline })
      return { ...stateOf(to), ignored }
    } catch (thrown) {
      const error = explain(AppError.from(thrown))
      if (to && this.#lease !== to) notWanted = to.close()
      // The author needs the place in the code; the rest is for the caller.
      const { details, ...told } = error.toJSON()
      const where = details?.code ? { details: { code: details.code } } : {}
      events.emit({ type: 'pipeline', status: 'failed', pipeline, error: { ...told, ...where } })
      throw error
    } finally {
      void Promise.resolve(notWanted).then(freeTurn)
      offLog()
      if (this.#swapping === swapping) this.#swapping = undefined
    }
  }

  /** True while no frame can be decoded: the stream is then in ERROR, whatever the pipeline's state. */
  inputFailing(failing: boolean): void {
    const state = this.#lease?.state ?? 'OFFLINE'
    const [now, previous] = failing ? ['ERROR', state] : [state, 'ERROR']
    this.#options.events.emit({ type: 'state', state: now, previous })
  }

  /** Call before a frame is given to the pipeline. */
  input(frame: VideoFrame): void {
    this.#lastInputAt = nowMs()
    this.#takeover?.input(frame)
  }

  async close(): Promise<void> {
    this.#swapping?.abort(conflict('the stream ended'))
    await this.#lease?.close()
  }

  async #takeOver(
    from: PipelineLease,
    to: PipelineLease,
    signal: AbortSignal,
    beforeSwitch: () => void,
  ): Promise<void> {
    const { shown, onOutput, prepare, openBeside } = this.#options
    const sameFrames = sameForm(formOf(from.input), formOf(to.input))
    const beside = sameFrames ? undefined : await openBeside(to)
    const takeover: Takeover = new Takeover({
      from,
      to,
      sameForm: sameFrames,
      shown,
      show: onOutput,
      prepare,
      onSwitch: (boundary) => {
        beforeSwitch()
        this.#past = addLosses(this.#past, lossesOf(to.stats()), -1)
        this.#putOnAir(to, boundary)
        beside?.adopt()
        this.#options.onSwap(to)
      },
    })
    this.#takeover = takeover
    try {
      await firstOutput({ takeover, to, lastInputAt: () => this.#lastInputAt, signal, log: this.#context.log })
    } finally {
      if (this.#takeover === takeover) this.#takeover = undefined
      if (!takeover.switched) void beside?.close()
    }
    void from.close().then(() => this.#options.onLost(from))
  }

  #leaseOptions(pipeline: string | undefined, params: Values | undefined): LeaseOptions {
    const { allocate, onOutput, onAudio, colourAt } = this.#options
    const requestId = randomUUID()
    return {
      ...(pipeline !== undefined && { pipeline }),
      ...(params && { params }),
      requestId,
      allocate,
      colourAt,
      onFrame: (frame, lease) => {
        if (this.#takeover) this.#takeover.output(lease, frame)
        else if (this.#lease === lease) onOutput(frame)
        else giveBack(frame.data)
      },
      onAudio,
    }
  }

  /**
   * Data for frames up to `boundary` belongs to outputs that are not shown: those frames are the previous pipeline's.
   */
  #putOnAir(lease: PipelineLease, boundary = Number.NEGATIVE_INFINITY): void {
    const old = this.#lease
    const { events, onData } = this.#options
    if (old) this.#past = addLosses(this.#past, lossesOf(old.stats()))
    for (const off of this.#listening) off()
    this.#lease = lease
    this.#listening = relay(lease, {
      ...this.#options,
      onData: (pts, value, lost) => pts > boundary && onData(pts, value, lost),
    })
    // A warm pipeline is past LOADING before anybody listens to it.
    const previous = old?.state ?? 'LOADING'
    if (lease.state !== previous) events.emit({ type: 'state', state: lease.state, previous })
  }

  /** Reports params unknown to the pipeline; `names` are JSON Pointers. */
  #tellIgnored(names: readonly string[]): void {
    if (names.length === 0) return
    const line = `params that the pipeline does not know were ignored: ${names.slice(0, 20).join(', ')}`
    this.#options.events.emit({ type: 'log', level: 'warn', line })
  }
}

function stateOf({ pipeline, params: { revision, value } }: PipelineLease): ParamsState {
  return { pipeline, revision, hash: hashParams(value), params: value }
}

function conflict(why: string): AppError {
  return new AppError('conflict', `the pipeline was not changed: ${why}`, { retryable: true })
}
