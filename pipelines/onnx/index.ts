import { type OnnxModel, openModel, type Tensor, TensorPicture } from 'millrace/onnx'
import { Pipeline, type PipelineContext, type Reload, type VideoFrame, VideoOutput } from 'millrace/pipeline'
import { mix } from './mix.ts'
import { modelFile } from './model-file.ts'
import { needsReload, OnnxParams, rangeOf } from './params.ts'
import { InputShape, outputShape, type Size } from './shapes.ts'

export { OnnxParams }

/** Any model that makes one picture of one picture. */
export class Onnx extends Pipeline<typeof OnnxParams> {
  static override Params = OnnxParams
  static override input = { format: 'rgb24' } as const
  static override description = 'Runs any image-to-image model in the ONNX format'
  #context!: PipelineContext
  #params!: OnnxParams
  #model!: OnnxModel
  #shape!: InputShape
  /** For the size of frames that came last. */
  #input: { frame: Size; picture: TensorPicture } | undefined
  #output: { key: string; picture: TensorPicture } | undefined

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
    const made = this.#outputPicture(result, shape).toFrame(result, {
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
    // Refused at once, rather than found out under the reloading picture.
    modelFile(params.model, this.#context.modelDir)
    return this.reload(async () => {
      await this.#model.close()
      await this.#load(params)
    })
  }

  override async stop(): Promise<void> {
    await this.#model?.close()
  }

  async #load(params: OnnxParams): Promise<void> {
    const { log, signal, modelDir } = this.#context
    const file = modelFile(params.model, modelDir)
    const model = await openModel({ file, executionProvider: params.execution_provider }, { log, signal })
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

  async #run(frame: VideoFrame): Promise<Tensor> {
    const { width, height } = frame
    if (this.#input?.frame.width !== width || this.#input.frame.height !== height)
      this.#input = { frame: { width, height }, picture: this.#shape.picture(frame) }
    const [input] = this.#model.inputs
    const results = await this.#model.run({ [input!.name]: this.#input.picture.fromFrame(frame) })
    return results[this.#model.outputs[0]!.name]!
  }

  #outputPicture(result: Tensor, shape: ReturnType<typeof outputShape>): TensorPicture {
    const { output_range, channels, fit } = this.#params
    const named = result.type === 'uint8' ? '0..255' : output_range
    const range = named === 'auto' ? extent(result) : rangeOf(named)
    const key = JSON.stringify([shape, range])
    if (this.#output?.key !== key) {
      const order = shape.channels === 1 ? 'gray' : channels
      this.#output = { key, picture: new TensorPicture({ ...shape, channels: order, fit, range }) }
    }
    return this.#output.picture
  }
}

/** The least and the largest value, a little apart at least. */
function extent({ data }: Tensor): [number, number] {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
  for (let i = 0; i < data.length; i++) {
    const value = Number(data[i])
    if (value < low) low = value
    if (value > high) high = value
  }
  return high > low ? [low, high] : [low, low + 1]
}
