import { AppError } from '../../core/errors.ts'
import type { VideoFrame } from '../../core/media/frame.ts'
import {
  type Pipeline,
  Pipeline as PipelineBase,
  type PipelineClass,
  type PipelineContext,
} from '../../sdk/pipeline-class.ts'
import { putProcessed } from '../../sdk/processed.ts'
import type { Values } from '../protocol.ts'
import { Batcher, type BatcherOptions } from './batcher.ts'
import type { ParamsStore } from './params.ts'

/** One instance of an author's class, loaded once, for several streams. */
export class SharedModel {
  readonly batcher: Batcher
  readonly #pipeline: Pipeline
  readonly #author: PipelineClass
  readonly #context: PipelineContext
  readonly #initial: Values
  #loading: Promise<void> | undefined

  /** `initial` are the variant's own params. */
  constructor(
    author: PipelineClass,
    initial: Values,
    context: PipelineContext,
    listeners: Pick<BatcherOptions, 'onCall' | 'onHang'>,
  ) {
    this.#author = author
    this.#initial = initial
    this.#context = context
    this.#pipeline = new author()
    // They would reach no stream.
    this.#pipeline.outputs.onTally = this.#pipeline.outputs.onData = () => {
      throw new TypeError('a pipeline for several streams gives its outputs and data as results of processBatch')
    }
    const process = this.#pipeline.processBatch!.bind(this.#pipeline)
    this.batcher = new Batcher({ process: async (items) => await process(items), ...listeners })
  }

  /** Loads with the variant's own params, whatever those of the first stream are. */
  load(): Promise<void> {
    this.#loading ??= this.#pipeline.initialize(this.#author.Params.parse(this.#initial), this.#context)
    return this.#loading
  }

  /** Throws if a stream's params would need another model. */
  checkParams(value: unknown): void {
    const initial = this.#author.Params.safeParse(this.#initial)
    if (initial.success && this.#author.needsReload(initial.data, value))
      throw new AppError('invalid-params', 'they need another model, and streams share the one that is loaded')
  }

  async stop(): Promise<void> {
    await this.#pipeline.stop()
  }
}

/** Acts as the pipeline of one stream's process loop. */
export class SeatPipeline extends PipelineBase {
  readonly #model: SharedModel
  readonly #seat: number
  readonly #store: ParamsStore

  constructor(model: SharedModel, seat: number, store: ParamsStore) {
    super()
    this.#model = model
    this.#seat = seat
    this.#store = store
  }

  override initialize(): Promise<void> {
    return this.#model.load()
  }

  override async putVideoFrame(frame: VideoFrame, requestId: string): Promise<void> {
    const { pts } = frame
    const params = this.#store.inForce.value
    const processed = await this.#model.batcher.process(this.#seat, { frame, params, requestId })
    putProcessed(processed, pts, requestId, this.outputs)
  }
}
