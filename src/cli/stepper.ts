import { randomUUID } from 'node:crypto'
import { setImmediate as turn } from 'node:timers/promises'
import { TICKS_PER_SECOND } from '../core/clock.ts'
import { Emitter } from '../core/emitter.ts'
import { AppError } from '../core/errors.ts'
import type { AudioFrame } from '../core/media/audio.ts'
import type { VideoFrame } from '../core/media/frame.ts'
import { type Context, sleep } from '../core/resource.ts'
import type { PipelineEntry } from '../pipeline/catalog/entry.ts'
import { type HostEvents, PipelineHost } from '../pipeline/host/host.ts'
import { Reaper } from '../pipeline/host/reaper.ts'
import type { Description, Values } from '../pipeline/protocol.ts'
import { inputProblem, type WantedInput, wantedInput } from '../pipeline/supervision/lease/input-form.ts'
import { unknownNames } from '../pipeline/supervision/lease/unknown-names.ts'
import { StepperAudio } from './stepper-audio.ts'

const REVISION = 1
/** Time for the message about a failed frame, which is sent apart from its counter. */
const MESSAGE_MS = 300
/** Frames that may be in the pipeline without output: one that works asynchronously needs several at a time. */
const FIRST_ALLOWANCE = 16
/** Outputs on their way, of 16 that the pipeline's queue holds, beyond which it gets no frame. */
const MAX_PENDING = 8
/** How long to wait for outputs before a pipeline with fewer outputs than frames gets more. */
const OUTPUT_MS = 500
/** After this long without output, none is expected any more. */
const QUIET_MS = 100
const LONG_QUIET_MS = 1000

export type StepperOptions = {
  entry: PipelineEntry
  params: Values
  modelDir: string
  /** Time limit per frame. */
  frameMs: number
  /** Lines that the pipeline logs or prints. */
  onLog(line: HostEvents['log']): void
  /** Data messages. */
  onData?(said: HostEvents['data']): void
}

/** A frame on which the pipeline threw, or whose output is invalid. */
export type BrokenFrame = { frame: number; seconds: number; message: string }

/**
 * Gives a runner one frame after the other, each when the previous one is done, so that none is replaced by a newer one
 * as in a live stream, and an error belongs to a known frame.
 */
export class Stepper implements AsyncDisposable {
  /** Milliseconds from the start of the process until the pipeline was loaded. */
  readonly loadMs: number
  readonly audio: StepperAudio
  /** Outputs not taken yet. Their memory must be returned. */
  readonly #outputs: VideoFrame[] = []
  readonly #options: StepperOptions
  readonly #host: PipelineHost
  readonly #reaper: Reaper
  readonly #messages: { thrown?: string | undefined; other?: string | undefined } = {}
  #lost = 0
  #ended: AppError | undefined
  #allowance = FIRST_ALLOWANCE
  #lastOutputAt = performance.now()
  #longestGapMs = 0

  private constructor(options: StepperOptions, reaper: Reaper, host: PipelineHost, parts: Parts) {
    this.#options = options
    this.#reaper = reaper
    this.#host = host
    this.loadMs = parts.loadMs
    this.audio = new StepperAudio(host)
    parts.events.on('error', ({ message, during }) => {
      const told = `${message} in ${during}`
      if (/audio/i.test(during)) this.audio.failed(told)
      else this.#messages[/^put_?video_?frame$/i.test(during) ? 'thrown' : 'other'] = told
    })
    void host.closed.then(({ error }) => {
      this.#ended = error ?? new AppError('pipeline-failed', "the pipeline's process ended by itself")
    })
    host.onFrame = ({ frame }) => {
      const now = performance.now()
      if (this.outputs > 1) this.#longestGapMs = Math.max(this.#longestGapMs, now - this.#lastOutputAt)
      this.#lastOutputAt = now
      this.#outputs.push(frame)
    }
  }

  /**
   * Resolves when the pipeline is loaded. Rejects with `invalid-params` or `pipeline-failed`, and leaves nothing
   * behind.
   */
  static async open(options: StepperOptions, context: Context): Promise<Stepper> {
    const { entry, params, modelDir, onLog, onData } = options
    const reaper = await Reaper.open()
    try {
      const events = new Emitter<HostEvents>(context.log)
      events.on('log', onLog)
      if (onData) events.on('data', onData)
      const began = performance.now()
      const request = { entry, initial: entry.params, params, revision: REVISION, modelDir, reaper, events }
      const host = await PipelineHost.open(request, context)
      try {
        await loaded(host, events, context.signal)
        const loadMs = performance.now() - began
        await host.lease(randomUUID(), REVISION, params)
        for (const pointer of unknownNames(host.description.schema, params))
          onLog({ level: 'warn', message: `${entry.name} has no param ${pointer.slice(1)}: it is ignored` })
        return new Stepper(options, reaper, host, { events, loadMs })
      } catch (thrown) {
        await host.close()
        throw thrown
      }
    } catch (thrown) {
      await reaper.close()
      throw thrown
    }
  }

  get description(): Description {
    return this.#host.description
  }

  /** The pipeline's input form. */
  get input(): WantedInput {
    return wantedInput(this.#host.description.input, this.#host.params)
  }

  get pid(): number {
    return this.#host.pid
  }

  memoryBytes(): Promise<number | undefined> {
    return this.#host.memoryBytes()
  }

  /** Number of outputs so far. */
  get outputs(): number {
    return this.#host.frameCounts().arrived
  }

  /**
   * Resolves when the pipeline has taken the frame, with the milliseconds until an output came or it was done with it.
   * A frame on which it threw is returned as broken. Throws if the runner ends, a frame takes too long, or an output is
   * lost; the message names the frame. `number` counts from 1.
   */
  async put(frame: VideoFrame, number: number, seconds: number): Promise<{ ms: number; broken?: BrokenFrame }> {
    const name = nameOf(number, seconds)
    const problem = inputProblem(this.#options.entry.name, this.input, frame)
    if (problem) throw new AppError('pipeline-failed', `${name}: ${problem}`)
    const { failed, arrived } = this.#host.frameCounts()
    const began = performance.now()
    this.#host.write(frame)
    await this.#done(name)
    const doneMs = performance.now() - began
    const counts = this.#host.frameCounts()
    // Frames in a process that ended are counted the same way; its end is reported a moment later.
    if (counts.failed > failed || counts.beforePipeline > 0) await turn()
    this.#throwIfGone(name)
    if (counts.beforePipeline > 0) throw new AppError('internal', `${name} did not reach the pipeline`)
    const message = counts.failed > failed ? await this.#told('thrown') : await this.#lostOutput(name)
    if (message !== undefined) return { ms: doneMs, broken: { frame: number, seconds, message } }
    await this.#leaveRoom(name)
    const answered = counts.arrived > arrived && this.#lastOutputAt >= began
    return { ms: answered ? this.#lastOutputAt - began : doneMs }
  }

  /** Resolves when the pipeline has taken the audio, with the reason if it threw on some so far. */
  async putAudio(frame: AudioFrame): Promise<string | undefined> {
    const name = `audio at ${secondsOf(frame.pts).toFixed(3)} s`
    await this.audio.put(frame, { name, ms: this.#options.frameMs, check: () => this.#throwIfGone(name) })
    return this.audio.takeFault()
  }

  /** New outputs, oldest first. */
  take(): VideoFrame[] {
    return this.#outputs.splice(0)
  }

  /**
   * Resolves when no output has come for a while, soon if there are as many as frames, and all messages were received.
   */
  async settled(): Promise<void> {
    const began = performance.now()
    for (;;) {
      const { accepted, arrived } = this.#host.frameCounts()
      this.#throwIfGone('after the last frame')
      const lost = await this.#lostOutput('after the last frame')
      if (lost !== undefined) throw new AppError('pipeline-failed', `after the last frame: ${lost}`)
      const all = arrived >= accepted && !this.audio.owed
      const ms = all ? QUIET_MS : Math.max(LONG_QUIET_MS, 4 * this.#longestGapMs)
      if (performance.now() - Math.max(began, this.#lastOutputAt, this.audio.lastOutputAt) > ms) break
      await sleep(QUIET_MS / 4)
    }
    // Its answer comes after all earlier messages.
    await this.#host.check('merge', {}).catch(() => {})
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#host.close()
    await this.#reaper.close()
  }

  async #done(name: string): Promise<void> {
    const began = performance.now()
    for (let look = 0; this.#host.frameCounts().inside > 0; look++) {
      this.#throwIfGone(name)
      if (performance.now() - began > this.#options.frameMs)
        throw new AppError(
          'timeout',
          `${name}: the pipeline did not finish it within ${this.#options.frameMs / 1000} s`,
        )
      // Most pipelines take milliseconds, and timers are no finer than one.
      if (look < 50) await turn()
      else await sleep(1)
    }
  }

  /**
   * A pipeline that takes frames at once and processes them later must not get a whole film, and one that returns
   * several outputs per frame must not fill its queue.
   */
  async #leaveRoom(name: string): Promise<void> {
    const open = () => {
      const { accepted, arrived } = this.#host.frameCounts()
      return accepted - arrived
    }
    const began = performance.now()
    while (this.#host.frameCounts().pending > MAX_PENDING && performance.now() - began < this.#options.frameMs) {
      this.#throwIfGone(name)
      await turn()
    }
    while (open() >= this.#allowance) {
      this.#throwIfGone(name)
      if (performance.now() - began > OUTPUT_MS) this.#allowance *= 2
      await sleep(1)
    }
  }

  #throwIfGone(name: string): void {
    if (!this.#ended) return
    const { message, details, issues } = this.#ended
    const facts = { ...(details && { details }), ...(issues && { issues }) }
    throw new AppError('pipeline-failed', `${name}: ${message}`, facts)
  }

  /** Why an output was refused; undefined if none was. Throws if one was lost without the pipeline's fault. */
  async #lostOutput(name: string): Promise<string | undefined> {
    const { afterPipeline } = this.#host.frameCounts()
    const lost = afterPipeline - this.#lost
    this.#lost = afterPipeline
    if (lost === 0 && this.#messages.other === undefined) return undefined
    const message = await this.#told('other')
    if (message !== undefined) return message
    throw new AppError('pipeline-failed', `${name}: the pipeline returned outputs too fast, ${lost} were dropped`)
  }

  /** The message that belongs to a counter. Of several in a second only the first has one. */
  async #told(kind: 'thrown' | 'other'): Promise<string | undefined> {
    const until = performance.now() + MESSAGE_MS
    while (this.#messages[kind] === undefined && !this.#ended && performance.now() < until) await sleep(1)
    const message = this.#messages[kind]
    this.#messages[kind] = undefined
    return message ?? (kind === 'thrown' ? 'the pipeline threw' : undefined)
  }
}

type Parts = { events: Emitter<HostEvents>; loadMs: number }

/** For messages. */
export function nameOf(frame: number, seconds: number): string {
  return `frame ${frame} at ${seconds.toFixed(3)} s`
}

/** Seconds of a time stamp. */
export function secondsOf(pts: number): number {
  return pts / TICKS_PER_SECOND
}

async function loaded(host: PipelineHost, events: Emitter<HostEvents>, signal: AbortSignal | undefined): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const look = () => {
    if (host.phase === 'ready') resolve()
  }
  const off = events.on('phase', look)
  const onAbort = () => reject(new AppError('pipeline-failed', 'it was interrupted'))
  signal?.addEventListener('abort', onAbort, { once: true })
  void host.closed.then(({ error }) => reject(error ?? new AppError('pipeline-failed', 'it ended while it loaded')))
  if (signal?.aborted) onAbort()
  look()
  try {
    await promise
  } finally {
    off()
    signal?.removeEventListener('abort', onAbort)
  }
}
