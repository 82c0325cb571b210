import type { Log } from '../core/log.ts'
import type { AudioFrame } from '../core/media/audio.ts'
import type { PixelFormat, VideoFrame } from '../core/media/frame.ts'
import type { AudioOutput } from './audio/output.ts'
import { type AudioSpec, wholeSpec } from './audio/spec.ts'
import { BaseParams, type ParamsOf, type ParamsSchema } from './base-params.ts'
import { OutputQueue } from './output-queue.ts'
import type { BatchItem, Processed } from './processed.ts'
import type { VideoOutput } from './video-output.ts'

/** Frames as the pipeline wants them; they are converted before they reach it. */
export type InputSpec = {
  /** Default: the decoder's format, `yuv420p`. */
  readonly format?: PixelFormat
  /** In pixels; set it together with `height`. Default: `params.width`, else the source's width. */
  readonly width?: number
  readonly height?: number
}

/** What the runner gives a pipeline. */
export type PipelineContext = {
  /** The name it was started under, which tells variants of one class apart. */
  name: string
  /** Log lines go to the server's log and the stream's events. */
  log: Log
  /** An existing directory for model files. */
  modelDir: string
  /** Aborted when the runner is asked to stop. */
  signal: AbortSignal
}

/** Returned by `updateParams` if the new params need work during which no frame can be processed. */
export class Reload {
  readonly work: () => Promise<void>

  constructor(work: () => Promise<void>) {
    this.work = work
  }
}

/**
 * A pipeline that decides itself when it takes frames and returns outputs, which need not be one to one. For the common
 * case of one frame in and one out, see `definePipeline`.
 * `initialize`, `putVideoFrame`, `updateParams` and `stop` never run concurrently. `getProcessedVideoFrame` is awaited
 * beside them. `putAudioFrame` may run beside `putVideoFrame`, so that audio does not wait for a model, but not beside
 * the others.
 */
export abstract class Pipeline<P extends ParamsSchema = typeof BaseParams> {
  /** The params schema; a subclass with its own params overrides it. */
  static Params: ParamsSchema = BaseParams
  static input: InputSpec = {}
  /** False for a pipeline that processes audio only: its stream's video passes around it. See `AudioPipeline`. */
  static video = true
  /**
   * How it takes audio. If undefined, a pipeline with `putAudioFrame` takes it with the defaults; for others, audio
   * passes around.
   */
  static audio: AudioSpec | undefined = undefined
  /** One line for the list of pipelines. */
  static description: string | undefined = undefined

  /**
   * Number of streams that can share one process and one instance, which is loaded with the pipeline's own params. With
   * more than one it needs `processBatch`; `putVideoFrame` and `updateParams` are not called.
   */
  static streams = 1

  /**
   * A bounded output queue, read by `getProcessedVideoFrame` and `getProcessedAudioFrame` unless these are overridden.
   */
  readonly outputs = new OutputQueue()

  /** Downloads or compiles models, without a stream: called by `millrace prepare`. */
  static async prepareModels(_context: PipelineContext): Promise<void> {}

  /**
   * Checks what the schema cannot, such as whether a file exists. Called in the runner for params that the schema
   * accepted, before the request is answered; throw to refuse them with 422. It must return immediately and load
   * nothing.
   */
  static checkParams(_params: unknown, _context: PipelineContext): void {}

  /** Loads and warms up the model. Called once; if it throws, the runner is restarted. */
  async initialize(_params: ParamsOf<P>, _context: PipelineContext): Promise<void> {}

  /**
   * Whether the change from one params value to another needs another model, which streams that share one cannot have.
   */
  static needsReload(_now: unknown, _next: unknown): boolean {
    return false
  }

  /** Takes one frame. While it is awaited, newer frames replace waiting ones. If it throws, the frame is dropped. */
  async putVideoFrame(_frame: VideoFrame, _requestId: string): Promise<void> {
    throw new TypeError('the pipeline has no putVideoFrame')
  }

  /**
   * Processes the pending frames, at most one per stream, oldest first, each with its stream's params. Returns one
   * result per frame, in the same order. If it throws, each frame is tried alone.
   */
  processBatch?(items: readonly BatchItem<P>[]): Promise<readonly Processed[]>

  /** Returns the next output as soon as there is one. */
  async getProcessedVideoFrame(): Promise<VideoOutput> {
    return this.outputs.get()
  }

  /**
   * Takes one audio frame of 10 or 20 ms, with `pts` on the same clock as video. If it throws or outputs nothing, the
   * frame leaves unchanged.
   */
  async putAudioFrame(_frame: AudioFrame, _requestId: string): Promise<void> {}

  /** Returns the next audio as soon as there is some: up to 10 s long, in order of `pts`. */
  async getProcessedAudioFrame(): Promise<AudioOutput> {
    return this.outputs.getAudio()
  }

  /**
   * Applies validated params, between two frames. If it throws, the update is rejected and the previous params stay in
   * effect. For work that takes longer than a frame: `return this.reload(async () => { … })`.
   */
  // biome-ignore lint/suspicious/noConfusingVoidType: an author's `async updateParams() {}` is a Promise<void>
  async updateParams(_params: ParamsOf<P>): Promise<Reload | void> {}

  /** Frees what `initialize` acquired. Called once, when the runner stops normally. */
  async stop(): Promise<void> {}

  /** Schedules `work` next; viewers see the overlay meanwhile. If it throws, the runner is restarted. */
  protected reload(work: () => Promise<void>): Reload {
    return new Reload(work)
  }
}

/** A class that the runner can instantiate as a pipeline. */
export type PipelineClass<P extends ParamsSchema = ParamsSchema> = {
  new (): Pipeline<P>
  readonly prototype: Pipeline<P>
  Params: ParamsSchema
  input: InputSpec
  video: boolean
  audio: AudioSpec | undefined
  description: string | undefined
  streams: number
  needsReload(now: unknown, next: unknown): boolean
  prepareModels(context: PipelineContext): Promise<void>
  checkParams(params: ParamsOf<P>, context: PipelineContext): void
}

/**
 * The audio spec of a pipeline class; undefined if it takes and gives no audio. @throws TypeError for an invalid
 * `audio`.
 */
export function audioOf(author: PipelineClass): Required<AudioSpec> | undefined {
  if (author.audio) return wholeSpec(author.audio)
  return author.prototype.putAudioFrame === Pipeline.prototype.putAudioFrame ? undefined : wholeSpec({})
}
