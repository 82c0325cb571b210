import { AppError } from '../../core/errors.ts'
import type { VideoFrame } from '../../core/media/frame.ts'
import { type InputSpec, Pipeline, type PipelineContext, type Reload } from '../pipeline-class.ts'
import { VideoOutput } from '../video-output.ts'
import { mix } from './mix.ts'
import { OnnxModel } from './model.ts'
import { modelFile } from './model-file.ts'
import { needsReload, OnnxParams, rangeOf } from './params.ts'
import { frameOutput, InputShape, outputShape, type Size } from './shapes.ts'
import type { Tensor, TensorType } from './tensor.ts'
import { extent, TensorFrame } from './tensor-frame.ts'

/** Trial size in pixels for models that take any size. */
const TRIAL = { width: 256, height: 256 }
/** The values of black and white that the element type implies. */
const OWN_RANGE: Partial<Record<TensorType, '0..255' | '0..1'>> = { uint8: '0..255', bool: '0..1' }

/**
 * A pipeline for any model with one frame in and one frame out. A package with its own model extends the class, sets
 * `base`, and names the model and its normalization in its manifest's params.
 */
export class OnnxPipeline extends Pipeline<typeof OnnxParams> {
  static override Params = OnnxParams
  static override input: InputSpec = { format: 'rgb24' }
  static override description: string | undefined = 'Runs any image-to-image model in the ONNX format'
  /** `import.meta.url` of the module that `./` in the `model` param is relative to. */
  static base: string = import.meta.url
  #context!: PipelineContext
  #params!: OnnxParams
  #model!: OnnxModel
  #shape!: InputShape
  #outputName!: string
  /** For the size of the latest frames. */
  #input: { size: Size; converter: TensorFrame } | undefined
  #output: { key: string; frame: TensorFrame } | undefined

  static override checkParams(params: unknown, { modelDir }: PipelineContext): void {
    try {
      // biome-ignore lint/complexity/noThisInStatic: a subclass has a base of its own
      modelFile((params as OnnxParams).model, modelDir, this.base)
    } catch (thrown) {
      const message = (thrown as Error).message.replace(/^model: /, '')
      throw new AppError('invalid-params', message, { issues: [{ path: ['model'], message }] })
    }
  }

  override async initialize(params: OnnxParams, context: PipelineContext): Promise<void> {
    this.#context = context
    await this.#load(params)
  }

  override async putVideoFrame(frame: VideoFrame, requestId: string): Promise<void> {
    const { strength, output_size } = this.#params
    if (strength === 0 && output_size === 'source') {
      this.outputs.put(new VideoOutput(frame, requestId))
      return
    }
    const result = await this.#run(frame)
    const shape = outputShape(result.dims, this.#shape.layout)
    const size = output_size === 'model' ? shape : frame
    const made = this.#outputFrame(result, shape).toFrame(result, {
      width: size.width,
      height: size.height,
      pts: frame.pts,
    })
    this.outputs.put(new VideoOutput(mix(scaled(frame, made), made, strength), requestId))
  }

  // biome-ignore lint/suspicious/noConfusingVoidType: as declared by Pipeline
  override async updateParams(params: OnnxParams): Promise<Reload | void> {
    if (!needsReload(this.#params, params)) {
      this.#params = params
      return
    }
    // Refused before the reload, not during it.
    this.#fileOf(params)
    return this.reload(async () => {
      await this.#model.close()
      await this.#load(params)
    })
  }

  override async stop(): Promise<void> {
    await this.#model?.close()
  }

  async #load(params: OnnxParams): Promise<void> {
    const options = { file: this.#fileOf(params), executionProvider: params.execution_provider }
    const model = await OnnxModel.open(options, this.#context)
    try {
      this.#shape = new InputShape(model, params)
      this.#outputName = frameOutput(model.outputs, params.output, this.#shape.layout).name
    } catch (thrown) {
      await model.close()
      throw thrown
    }
    this.#model = model
    this.#params = params
    this.#input = undefined
    this.#output = undefined
    try {
      await this.#tryOut()
    } catch (thrown) {
      await model.close()
      throw thrown
    }
  }

  /** The first run is the slowest, above all on a GPU; and a model's declared output may be incomplete. */
  async #tryOut(): Promise<void> {
    const { size, layout } = this.#shape
    const { width, height } = size ?? TRIAL
    let result: Tensor
    try {
      result = await this.#run({ width, height, data: new Uint8Array(width * height * 3), format: 'rgb24', pts: 0 })
    } catch (thrown) {
      if (size) throw thrown
      // The model may still accept the stream's frame size.
      this.#context.log.warn({ err: thrown, width, height }, 'the model could not be tried out')
      return
    }
    outputShape(result.dims, layout)
  }

  #fileOf({ model }: OnnxParams): string {
    return modelFile(model, this.#context.modelDir, (this.constructor as typeof OnnxPipeline).base)
  }

  async #run(frame: VideoFrame): Promise<Tensor> {
    const { width, height } = frame
    if (this.#input?.size.width !== width || this.#input.size.height !== height)
      this.#input = { size: { width, height }, converter: this.#shape.frame(frame) }
    const [input] = this.#model.inputs
    const results = await this.#model.run({ [input!.name]: this.#input.converter.fromFrame(frame) })
    return results[this.#outputName]!
  }

  #outputFrame(result: Tensor, shape: ReturnType<typeof outputShape>): TensorFrame {
    const { output_range, channels, fit } = this.#params
    const named = OWN_RANGE[result.type] ?? output_range
    const range = named === 'auto' ? extent(result) : rangeOf(named)
    const key = JSON.stringify([shape, range])
    if (this.#output?.key !== key) {
      const order = shape.channels === 1 ? 'gray' : channels
      this.#output = { key, frame: new TensorFrame({ ...shape, channels: order, fit, range }) }
    }
    return this.#output.frame
  }
}

/** The frame scaled to the size of another, so that both can be blended. */
function scaled(frame: VideoFrame, { width, height }: VideoFrame): VideoFrame {
  if (frame.width === width && frame.height === height) return frame
  const { data } = new TensorFrame({ width, height, layout: 'NHWC', type: 'uint8' }).fromFrame(frame)
  return { ...frame, width, height, data: data as Uint8Array }
}
