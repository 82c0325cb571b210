import type { VideoFrame } from '../../core/media/frame.ts'
import { type InputSpec, Pipeline, type PipelineContext, type Reload } from '../pipeline-class.ts'
import { VideoOutput } from '../video-output.ts'
import { mix } from './mix.ts'
import { OnnxModel } from './model.ts'
import { modelFile } from './model-file.ts'
import { needsReload, OnnxParams, rangeOf } from './params.ts'
import { InputShape, outputShape, type Size } from './shapes.ts'
import type { Tensor } from './tensor.ts'
import { extent, TensorFrame } from './tensor-frame.ts'

/**
 * Any model that makes one frame of one frame. A package with a model of its own extends it, sets `base` and names
 * the model and its normalisation in the params of its manifest.
 */
export class OnnxPipeline extends Pipeline<typeof OnnxParams> {
  static override Params = OnnxParams
  static override input: InputSpec = { format: 'rgb24' }
  static override description: string | undefined = 'Runs any image-to-image model in the ONNX format'
  /** `import.meta.url` of the module whose package `../` in the param `model` stands for. */
  static base: string = import.meta.url
  #context!: PipelineContext
  #params!: OnnxParams
  #model!: OnnxModel
  #shape!: InputShape
  /** For the size of frames that came last. */
  #input: { size: Size; converter: TensorFrame } | undefined
  #output: { key: string; frame: TensorFrame } | undefined

  override async initialize(params: OnnxParams, context: PipelineContext): Promise<void> {
    this.#context = context
    await this.#load(params)
  }

  override async putVideoFrame(frame: VideoFrame, requestId: string): Promise<void> {
    const { strength, output_size } = this.#params
    if (strength === 0) {
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
    this.outputs.put(new VideoOutput(mix(frame, made, strength), requestId))
  }

  // biome-ignore lint/suspicious/noConfusingVoidType: as declared by Pipeline
  override async updateParams(params: OnnxParams): Promise<Reload | void> {
    if (!needsReload(this.#params, params)) {
      this.#params = params
      return
    }
    // Refused at once, rather than found out under the overlay.
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
    } catch (thrown) {
      await model.close()
      throw thrown
    }
    this.#model = model
    this.#params = params
    this.#input = undefined
    this.#output = undefined
    // The first run takes the longest, above all on a GPU.
    const { size } = this.#shape
    if (size) await this.#run({ ...size, data: new Uint8Array(size.width * size.height * 3), format: 'rgb24', pts: 0 })
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
    return results[this.#model.outputs[0]!.name]!
  }

  #outputFrame(result: Tensor, shape: ReturnType<typeof outputShape>): TensorFrame {
    const { output_range, channels, fit } = this.#params
    const named = result.type === 'uint8' ? '0..255' : output_range
    const range = named === 'auto' ? extent(result) : rangeOf(named)
    const key = JSON.stringify([shape, range])
    if (this.#output?.key !== key) {
      const order = shape.channels === 1 ? 'gray' : channels
      this.#output = { key, frame: new TensorFrame({ ...shape, channels: order, fit, range }) }
    }
    return this.#output.frame
  }
}
