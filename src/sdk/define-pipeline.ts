import type { VideoFrame } from '../core/media/frame.ts'
import { BaseParams, type ParamsOf, type ParamsSchema } from './base-params.ts'
import { type InputSpec, Pipeline, type PipelineClass, type PipelineContext, type Reload } from './pipeline-class.ts'
import { VideoOutput } from './video-output.ts'

type Awaitable<T> = T | Promise<T>

/** What came of one frame: a frame, several in order of `pts`, or none. */
export type Processed = VideoFrame | readonly VideoFrame[] | null | undefined

/** A loaded model. */
export type Loaded<P extends ParamsSchema> = {
  /** Makes outputs of one frame, with the params in force for it. */
  process(frame: VideoFrame, params: ParamsOf<P>, requestId: string): Awaitable<Processed>
  /** Called between frames when params change; when it throws, the update is rejected. */
  update?(params: ParamsOf<P>): Awaitable<void>
  stop?(): Awaitable<void>
}

export type PipelineDefinition<P extends ParamsSchema> = {
  params?: P
  input?: InputSpec
  /** One line for the list of pipelines. */
  description?: string
  load(params: ParamsOf<P>, context: PipelineContext): Awaitable<Loaded<P>>
  /** True when going from one value of the params to another needs `load` again, under the overlay. */
  reloadWhen?(now: ParamsOf<P>, next: ParamsOf<P>): boolean
  prepareModels?(context: PipelineContext): Awaitable<void>
}

/** A pipeline class from functions, for models that take one frame and give one, several or none. */
export function definePipeline<P extends ParamsSchema = typeof BaseParams>(
  definition: PipelineDefinition<P>,
): PipelineClass<P> {
  return class Defined extends Pipeline<P> {
    static override Params: ParamsSchema = definition.params ?? BaseParams
    static override input = definition.input ?? {}
    static override description = definition.description
    #loaded!: Loaded<P>
    #params!: ParamsOf<P>
    #context!: PipelineContext

    static override async prepareModels(context: PipelineContext): Promise<void> {
      await definition.prepareModels?.(context)
    }

    override async initialize(params: ParamsOf<P>, context: PipelineContext): Promise<void> {
      this.#context = context
      this.#loaded = await definition.load(params, context)
      this.#params = params
    }

    override async putVideoFrame(frame: VideoFrame, requestId: string): Promise<void> {
      const processed = await this.#loaded.process(frame, this.#params, requestId)
      if (!processed) return
      const frames = Array.isArray(processed) ? processed : [processed]
      // All are checked before the first goes out, so that a frame never half fails.
      for (const output of frames.map((one) => new VideoOutput(one, requestId))) this.outputs.put(output)
    }

    // biome-ignore lint/suspicious/noConfusingVoidType: as declared by Pipeline
    override async updateParams(params: ParamsOf<P>): Promise<Reload | void> {
      if (definition.reloadWhen?.(this.#params, params)) {
        return this.reload(async () => {
          await this.#loaded.stop?.()
          this.#loaded = await definition.load(params, this.#context)
          this.#params = params
        })
      }
      await this.#loaded.update?.(params)
      this.#params = params
    }

    override async stop(): Promise<void> {
      await this.#loaded?.stop?.()
    }
  }
}
