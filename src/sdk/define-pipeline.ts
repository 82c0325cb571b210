import type { AudioFrame } from '../core/media/audio.ts'
import type { VideoFrame } from '../core/media/frame.ts'
import { AudioOutput } from './audio/output.ts'
import type { AudioSpec } from './audio/spec.ts'
import { BaseParams, type ParamsOf, type ParamsSchema } from './base-params.ts'
import { type InputSpec, Pipeline, type PipelineClass, type PipelineContext, type Reload } from './pipeline-class.ts'
import { type BatchItem, type Processed, putProcessed } from './processed.ts'

type Awaitable<T> = T | Promise<T>

type Some<T> = T | readonly T[] | null | undefined

/**
 * The result for one audio frame: audio, several pieces in order of `pts`, or nothing, and then the frame leaves
 * unchanged. Data may be added, as with video.
 */
export type ProcessedAudio =
  | Some<AudioFrame>
  | { frame?: Some<AudioFrame>; data: unknown; sampleRate?: never; channels?: never; pts?: never }

/** Processes one audio frame of 10 or 20 ms, with the params in effect for it. */
export type AudioFunction<P extends ParamsSchema> = (
  frame: AudioFrame,
  params: ParamsOf<P>,
  requestId: string,
) => Awaitable<ProcessedAudio>

/** A loaded model. */
export type Loaded<P extends ParamsSchema> = (OneByOne<P> | Batched<P>) & BesideVideo<P>

/** A loaded model of a definition with `video: false`. */
export type LoadedAudio<P extends ParamsSchema> = BesideVideo<P> & { process?: never; processBatch?: never }

type BesideVideo<P extends ParamsSchema> = {
  /** Processes audio, if the definition has `audio`. It may run while `process` is awaited. */
  audio?: AudioFunction<P>
  /** Called between frames when params change; if it throws, the update is rejected. */
  update?(params: ParamsOf<P>): Awaitable<void>
  stop?(): Awaitable<void>
}

type OneByOne<P extends ParamsSchema> = {
  /** Processes one frame, with the params in effect for it. */
  process(frame: VideoFrame, params: ParamsOf<P>, requestId: string): Awaitable<Processed>
  processBatch?: undefined
}

type Batched<P extends ParamsSchema> = {
  process?: undefined
  /**
   * Processes the pending frames, at most one per stream, oldest first, each with its stream's params. Returns one
   * result per frame, in the same order. If it throws, each frame is tried alone.
   */
  processBatch(items: readonly BatchItem<P>[]): Awaitable<readonly Processed[]>
}

type LoadedAny<P extends ParamsSchema> = BesideVideo<P> & {
  process?: OneByOne<P>['process'] | undefined
  processBatch?: Batched<P>['processBatch'] | undefined
}

export type PipelineDefinition<P extends ParamsSchema> = {
  params?: P
  input?: InputSpec
  /**
   * How audio is processed: a function; or a spec of the input frames, with a `process` unless `load` returns an
   * `audio`. Absent: audio passes around the pipeline.
   */
  audio?: AudioFunction<P> | (AudioSpec & { process?: AudioFunction<P> })
  /** False for audio only: video passes around the pipeline. Default: true if there is a `load`. */
  video?: boolean
  /** One line for the list of pipelines. */
  description?: string
  /** Optional if `audio` is a function. */
  load?(params: ParamsOf<P>, context: PipelineContext): Awaitable<Loaded<P> | LoadedAudio<P>>
  /**
   * Number of streams that can share one process and the result of `load`, which is then called with the pipeline's own
   * params; default 1. With more than one, `update` is not called, and a stream's params for which `reloadWhen` returns
   * true are refused.
   */
  streams?: number
  /** Whether the change from one params value to another needs `load` again, while viewers see the overlay. */
  reloadWhen?(now: ParamsOf<P>, next: ParamsOf<P>): boolean
  prepareModels?(context: PipelineContext): Awaitable<void>
  /**
   * Throws to refuse params that the schema accepted, such as the name of a missing file. It must return immediately.
   */
  checkParams?(params: ParamsOf<P>, context: PipelineContext): void
}

/** Makes a pipeline class from functions, for models that return one, several or no frames for each frame. */
export function definePipeline<P extends ParamsSchema = typeof BaseParams>(
  definition: PipelineDefinition<P>,
): PipelineClass<P> {
  const { audio, load } = definition
  if (!load && !audio) throw new TypeError('definePipeline needs load, audio, or both')
  const ownAudio = typeof audio === 'function' ? audio : audio?.process
  const processes = ((typeof audio === 'function' ? undefined : audio?.mode) ?? 'process') === 'process'

  class Defined extends Pipeline<P> {
    static override Params: ParamsSchema = definition.params ?? BaseParams
    static override input = definition.input ?? {}
    static override video = definition.video ?? load !== undefined
    static override audio: AudioSpec | undefined = typeof audio === 'function' ? {} : audio
    static override description = definition.description
    static override streams = definition.streams ?? 1
    #loaded: LoadedAny<P> = {}
    #params!: ParamsOf<P>
    #context!: PipelineContext

    static override async prepareModels(context: PipelineContext): Promise<void> {
      await definition.prepareModels?.(context)
    }

    static override needsReload(now: unknown, next: unknown): boolean {
      return definition.reloadWhen?.(now as ParamsOf<P>, next as ParamsOf<P>) ?? false
    }

    static override checkParams(params: unknown, context: PipelineContext): void {
      definition.checkParams?.(params as ParamsOf<P>, context)
    }

    override async initialize(params: ParamsOf<P>, context: PipelineContext): Promise<void> {
      this.#context = context
      await this.#load(params)
    }

    override async putVideoFrame(frame: VideoFrame, requestId: string): Promise<void> {
      const { pts } = frame
      const loaded = this.#loaded
      const processed = loaded.processBatch
        ? (await loaded.processBatch([{ frame, params: this.#params, requestId }]))[0]
        : await loaded.process?.(frame, this.#params, requestId)
      putProcessed(processed, pts, requestId, this.outputs)
    }

    override async processBatch(items: readonly BatchItem<P>[]): Promise<readonly Processed[]> {
      const loaded = this.#loaded
      if (loaded.processBatch) return await loaded.processBatch(items)
      const processed: Processed[] = []
      for (const { frame, params, requestId } of items) processed.push(await loaded.process?.(frame, params, requestId))
      return processed
    }

    protected async takeAudio(frame: AudioFrame, requestId: string): Promise<void> {
      const { pts } = frame
      const processed = await (this.#loaded.audio ?? ownAudio)?.(frame, this.#params, requestId)
      const { frame: given, data } = isAudioWithData(processed) ? processed : { frame: processed, data: undefined }
      // Immediately: nothing else will come for this frame.
      const made = given ?? (processes ? frame : [])
      const frames: readonly AudioFrame[] = Array.isArray(made) ? made : [made as AudioFrame]
      const outputs = frames.map((one) => new AudioOutput(one, requestId))
      if (data !== undefined) this.outputs.data(data, pts)
      for (const output of outputs) this.outputs.put(output)
    }

    // biome-ignore lint/suspicious/noConfusingVoidType: as declared by Pipeline
    override async updateParams(params: ParamsOf<P>): Promise<Reload | void> {
      if (definition.reloadWhen?.(this.#params, params)) {
        return this.reload(async () => {
          await this.#loaded.stop?.()
          await this.#load(params)
        })
      }
      await this.#loaded.update?.(params)
      this.#params = params
    }

    override async stop(): Promise<void> {
      await this.#loaded.stop?.()
    }

    async #load(params: ParamsOf<P>): Promise<void> {
      this.#loaded = ((await load?.(params, this.#context)) ?? {}) as LoadedAny<P>
      if (Defined.video && !this.#loaded.process && !this.#loaded.processBatch)
        throw new TypeError('load must give a process or a processBatch, or the definition says video: false')
      if (audio && !this.#loaded.audio && !ownAudio && Defined.audio?.mode !== 'give')
        throw new TypeError('load must give an audio, since the definition has audio without a process')
      this.#params = params
    }
  }
  if (!audio) return Defined

  return class DefinedWithAudio extends Defined {
    override putAudioFrame(frame: AudioFrame, requestId: string): Promise<void> {
      return this.takeAudio(frame, requestId)
    }
  }
}
/** An audio frame has its samples under `data` as well, but with a sample rate beside them. */
function isAudioWithData(processed: ProcessedAudio): processed is { frame?: Some<AudioFrame>; data: unknown } {
  return processed !== null && processed !== undefined && 'data' in processed && !('sampleRate' in processed)
}
