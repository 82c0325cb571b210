import type { Log } from '../core/log.ts'
import type { PixelFormat, VideoFrame } from '../core/media/frame.ts'
import { BaseParams, type ParamsOf, type ParamsSchema } from './base-params.ts'
import { OutputQueue } from './output-queue.ts'
import type { VideoOutput } from './video-output.ts'

/** Frames as the pipeline wants them; converted before they reach it. */
export type InputSpec = {
  /** Absent: as the decoder gives them, `yuv420p`. */
  readonly format?: PixelFormat
  /** In pixels, with `height`; absent: `params.width`, else the source's own width. */
  readonly width?: number
  readonly height?: number
}

/** What a pipeline gets from its runner. */
export type PipelineContext = {
  /** The name it was started by, which tells variants of one class apart. */
  name: string
  /** Lines reach the server's log and the stream's events. */
  log: Log
  /** A directory to keep models in; it exists. */
  modelDir: string
  /** Aborted when the runner is asked to stop. */
  signal: AbortSignal
}

/** Returned by `updateParams` to say that the new params need work during which no frame can be processed. */
export class Reload {
  readonly work: () => Promise<void>

  constructor(work: () => Promise<void>) {
    this.work = work
  }
}

/**
 * A pipeline with its own way of taking frames in and giving frames out, which need not be one to one. For the common
 * case, one frame in and one out, see `definePipeline`.
 *
 * `initialize`, `putVideoFrame`, `updateParams` and `stop` are never called while another of them runs;
 * `getProcessedVideoFrame` is awaited beside them.
 */
export abstract class Pipeline<P extends ParamsSchema = typeof BaseParams> {
  /** The schema of the params; a subclass with own params sets its own. */
  static Params: ParamsSchema = BaseParams
  static input: InputSpec = {}
  /** One line for the list of pipelines. */
  static description: string | undefined = undefined

  /** A bounded queue for outputs, which `getProcessedVideoFrame` reads unless it is overridden. */
  readonly outputs = new OutputQueue()

  /** Downloads or compiles models, without a stream: `millrace prepare`. */
  static async prepareModels(_context: PipelineContext): Promise<void> {}

  /** Loads and warms up the model. Called once; when it throws, the runner is started again. */
  async initialize(_params: ParamsOf<P>, _context: PipelineContext): Promise<void> {}

  /** Takes one frame. While it is awaited, newer frames replace each other. When it throws, the frame is lost. */
  abstract putVideoFrame(frame: VideoFrame, requestId: string): Promise<void>

  /** Gives the next output, whenever there is one. */
  async getProcessedVideoFrame(): Promise<VideoOutput> {
    return this.outputs.get()
  }

  /**
   * Puts checked params in force, between two frames. When it throws, the update is rejected and the params before it
   * stay in force. For work that takes longer than a frame: `return this.reload(async () => { … })`.
   */
  // biome-ignore lint/suspicious/noConfusingVoidType: an author's `async updateParams() {}` is a Promise<void>
  async updateParams(_params: ParamsOf<P>): Promise<Reload | void> {}

  /** Frees what `initialize` took. Called once, when the runner ends in order. */
  async stop(): Promise<void> {}

  /** The work runs next; viewers see the overlay meanwhile. When it throws, the runner is started again. */
  protected reload(work: () => Promise<void>): Reload {
    return new Reload(work)
  }
}

/** A class that the runner can make a pipeline of. */
export type PipelineClass<P extends ParamsSchema = ParamsSchema> = {
  new (): Pipeline<P>
  Params: ParamsSchema
  input: InputSpec
  description: string | undefined
  prepareModels(context: PipelineContext): Promise<void>
}
