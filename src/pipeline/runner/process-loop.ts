import { setImmediate as turn, setTimeout as wait } from 'node:timers/promises'
import type { VideoFrame } from '../../core/media/frame.ts'
import type { AudioSpec } from '../../sdk/audio/spec.ts'
import { type Pipeline, type PipelineContext, Reload } from '../../sdk/pipeline-class.ts'
import { VideoOutput } from '../../sdk/video-output.ts'
import type { RunnerMessage, ServerMessage } from '../protocol.ts'
import type { Doorbell } from '../ring/doorbell.ts'
import { REGION, RUNNER_COUNTERS } from '../ring/frame-layout.ts'
import { FrameRing, slotProblem } from '../ring/frame-ring.ts'
import { AudioLoop } from './audio-loop.ts'
import type { Checked, ParamsStore } from './params.ts'
import { ProcessingRate } from './processing-rate.ts'
import type { ErrorReports } from './reports.ts'
import { YoungGarbage } from './young-garbage.ts'

const HEARTBEAT_MS = 200
/**
 * How long outputs wait for room in the ring before the oldest is replaced: a server whose machine starts browsers and
 * encoders may stand still for tenths of a second.
 */
const OUTPUT_PATIENCE_MS = 500
const FAULT_PAUSE_MS = 10
/** With more unread messages, data is dropped: params and events have priority. */
const MAX_UNREAD_BYTES = 4 * 1024 * 1024

type Message<T extends ServerMessage['type']> = Extract<ServerMessage, { type: T }>

export type ProcessLoopParts = {
  pipeline: Pipeline
  /** How it takes audio. */
  audio: Required<AudioSpec> | undefined
  store: ParamsStore
  buffer: ArrayBuffer
  doorbell: Doorbell
  errors: ErrorReports
  send(message: RunnerMessage): void
  /** Bytes of messages that the server has not read yet. */
  unread(): number
  context: PipelineContext
}

/**
 * The only place that calls an author's methods. One loop does one thing at a time, applying params or processing a
 * frame; a second loop takes outputs.
 */
export class ProcessLoop {
  readonly #parts: ProcessLoopParts
  readonly #input: FrameRing
  readonly #output: FrameRing
  readonly #counters: Int32Array
  readonly #heartbeat: Int32Array
  readonly #audio: AudioLoop | undefined
  #epoch = 0
  #requestId: string | undefined
  #release: Message<'release'> | undefined
  readonly #rate = new ProcessingRate()
  readonly #garbage = new YoungGarbage()
  /** Outputs with an earlier time are from before the last reload; `waiting` until its first input gives the time. */
  #floor: number | 'waiting' | undefined
  #wake: (() => void) | undefined
  #lostData = 0

  constructor(parts: ProcessLoopParts) {
    this.#parts = parts
    this.#input = new FrameRing(parts.buffer, 'input')
    this.#output = new FrameRing(parts.buffer, 'output')
    this.#counters = new Int32Array(parts.buffer, REGION.runnerCounters, 16)
    this.#heartbeat = new Int32Array(parts.buffer, REGION.heartbeat, 1)
    const { audio: spec, context, ...shared } = parts
    if (spec) this.#audio = new AudioLoop({ ...shared, spec, signal: context.signal, moment: () => this.#moment() })
  }

  lease({ id, requestId, epoch, revision, params }: Message<'lease'>): void {
    this.#requestId = requestId
    this.#epoch = Math.max(this.#epoch, epoch)
    this.#floor = undefined
    this.#rate.reset()
    this.#parts.store.lease(id, params, revision)
    this.wake()
  }

  /** Takes effect when the pipeline has finished its current frame. */
  release(message: Message<'release'>): void {
    this.#requestId = undefined
    this.#epoch = Math.max(this.#epoch, message.epoch)
    this.#release = message
    this.#parts.store.release()
    this.wake()
  }

  /** Call when there may be something to do. */
  wake(): void {
    this.#wake?.()
    this.#audio?.wake()
  }

  /** Loads, then runs until the context's signal aborts. Throws if loading or a reload fails. */
  async run(): Promise<void> {
    const { pipeline, store, context } = this.#parts
    const beat = setInterval(() => Atomics.add(this.#heartbeat, 0, 1), HEARTBEAT_MS)
    context.signal.addEventListener('abort', () => this.wake(), { once: true })
    try {
      pipeline.outputs.onData = (value, pts) => this.#sendData(value, pts)
      pipeline.outputs.onTally = (what) => this.#count(what === 'put' ? 'queued' : 'queueLost')
      await pipeline.initialize(store.inForce.value, context)
      this.#tellParams()
      this.#ready()
      void this.#takeOutputs()
      void this.#audio?.run()
      // Frames and params alternate, so that neither a burst of updates nor a slow model starves the other.
      let applied = false
      while (!context.signal.aborted) {
        if (store.hasPending && !applied) {
          await (this.#audio ? this.#audio.hold(() => this.#applyParams()) : this.#applyParams())
          applied = true
          continue
        }
        applied = false
        if (await this.#processNext()) continue
        if (store.hasPending) continue
        if (this.#release) this.#finishRelease(this.#release)
        else await this.#sleep()
      }
    } finally {
      clearInterval(beat)
    }
  }

  async #sleep(): Promise<void> {
    this.#rate.idle()
    this.#garbage.sweep()
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#wake = resolve
    await promise
    this.#wake = undefined
  }

  /** False if there is no frame to process. */
  async #processNext(): Promise<boolean> {
    const { pipeline, errors } = this.#parts
    const requestId = this.#requestId
    // After a change of resolution, frames of the old one are useless.
    const size = this.#parts.store.inForce.value
    const taken = requestId === undefined ? undefined : this.#input.takeNext(this.#epoch, this.#rate.backlog(), size)
    if (!taken || requestId === undefined) return false
    this.#garbage.add(taken.frame.data.length)
    if (this.#floor === 'waiting') this.#floor = taken.frame.pts
    const done = this.#rate.begin()
    try {
      await pipeline.putVideoFrame(taken.frame, requestId)
      this.#count('accepted')
    } catch (thrown) {
      this.#count('failed')
      errors.report('putVideoFrame', thrown)
    }
    // Lets messages and timers run, however busy the pipeline is.
    await turn()
    done()
    return true
  }

  async #applyParams(): Promise<void> {
    const { store, errors } = this.#parts
    let fatal: unknown
    const apply = async (next: Checked, takesLong: () => void) => {
      const reload = await this.#parts.pipeline.updateParams(next.value)
      if (!(reload instanceof Reload)) return
      takesLong()
      // The next stream may wait for the reset as for a load.
      if (this.#release) this.#finishRelease(this.#release)
      try {
        await this.#reload(reload)
      } catch (thrown) {
        fatal = thrown
        throw thrown
      }
    }
    const failure = await store.applyNext(apply, () => this.#tellParams())
    if (fatal !== undefined) throw fatal
    // A stream must never get another one's params: the runner ends, and the next one loads with the stream's own.
    if (store.startFailed) throw failure
    if (failure) errors.report('updateParams', failure.cause ?? failure)
    if (store.loading) this.#ready()
    await turn()
  }

  async #reload(reload: Reload): Promise<void> {
    const { store, pipeline, send } = this.#parts
    store.loading = true
    this.#epoch++
    this.#floor = 'waiting'
    this.#rate.reset()
    send({ type: 'reloading', epoch: this.#epoch })
    pipeline.outputs.clear()
    await reload.work()
  }

  #finishRelease({ id }: Message<'release'>): void {
    const { store, pipeline, send } = this.#parts
    this.#release = undefined
    pipeline.outputs.clear()
    // Frames of the ended stream are counted as its own.
    this.#input.takeNext(this.#epoch)
    send({ type: 'done', id, status: 'applied', revision: store.revision, params: store.inForce.shown })
  }

  #ready(): void {
    this.#parts.store.loading = false
    this.#parts.send({ type: 'ready' })
  }

  #tellParams(): void {
    const { store, send } = this.#parts
    // Params of a warm runner, or of the previous stream, are no news for the waiting one.
    if (store.startWaits) return
    const { given, shown } = store.inForce
    send({ type: 'params', revision: store.revision, params: shown, given })
  }

  #moment() {
    return { epoch: this.#epoch, requestId: this.#parts.store.loading ? undefined : this.#requestId }
  }

  async #takeOutputs(): Promise<void> {
    const { pipeline, errors, context } = this.#parts
    while (!context.signal.aborted) {
      try {
        const output = await pipeline.getProcessedVideoFrame()
        this.#count('produced')
        const refusal = this.#refusal(output)
        if (refusal === undefined) await this.#sendOn(output.frame)
        else {
          this.#count('refused')
          if (refusal) {
            errors.report('getProcessedVideoFrame', new Error(refusal))
            // A pipeline that returns invalid outputs in a tight loop must not take a whole core.
            await wait(FAULT_PAUSE_MS)
          }
        }
      } catch (thrown) {
        errors.report('getProcessedVideoFrame', thrown)
        await wait(100)
      }
      await turn()
    }
  }

  /** Why an output goes no further: an author's fault, or '' if it merely came too late. */
  #refusal(output: VideoOutput): string | undefined {
    if (!(output instanceof VideoOutput)) return 'it must give a VideoOutput'
    if (this.#requestId === undefined || this.#parts.store.loading) return ''
    if (output.requestId !== this.#requestId) return `output of request ${output.requestId}, which is not running`
    // The author may have kept the frame and changed it since.
    const problem = slotProblem(output.frame)
    if (problem) return problem
    if (this.#floor === 'waiting' || (this.#floor !== undefined && output.frame.pts < this.#floor)) return ''
    return undefined
  }

  async #sendOn(frame: VideoFrame): Promise<void> {
    const epoch = this.#epoch
    const until = performance.now() + OUTPUT_PATIENCE_MS
    while (this.#output.full && performance.now() < until) await wait(2)
    this.#output.write(frame, epoch)
    this.#parts.doorbell.ring()
  }

  #sendData(value: unknown, pts: number): void {
    const { store, unread, send } = this.#parts
    if (this.#requestId === undefined || store.loading) return
    if (unread() > MAX_UNREAD_BYTES) this.#lostData++
    else send({ type: 'data', epoch: this.#epoch, pts, value, lost: this.#lostData })
  }

  #count(name: keyof typeof RUNNER_COUNTERS): void {
    Atomics.add(this.#counters, RUNNER_COUNTERS[name], 1)
  }
}
