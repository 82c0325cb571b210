import type { OnnxModel } from './model.ts'
import { type OnnxParams, rangeOf } from './params.ts'
import type { TensorInfo } from './tensor.ts'
import { type FrameTensorType, TensorFrame } from './tensor-frame.ts'

export type Layout = 'NCHW' | 'NHWC'
export type Size = { width: number; height: number }

const TYPES: readonly string[] = ['float32', 'float16', 'uint8']

/** The shape of the model's one input. Throws with what is in the way when it is no frame. */
export class InputShape {
  readonly layout: Layout
  readonly type: FrameTensorType
  readonly channels: 1 | 3
  readonly #fixed: { width: number | null; height: number | null }
  readonly #params: OnnxParams

  constructor(model: Pick<OnnxModel, 'inputs'>, params: OnnxParams) {
    const [input, ...others] = model.inputs
    if (!input || others.length > 0) throw new Error(`the model takes ${model.inputs.length} inputs, not one frame`)
    const { type, dims } = input
    if (!TYPES.includes(type)) throw new Error(`the model's input is ${type}, not ${TYPES.join(', ')}`)
    if (dims.length !== 4 || (dims[0] !== null && dims[0] !== 1))
      throw new Error(`the model's input is ${shapeText(input)}, not one frame`)
    this.layout = params.layout === 'auto' ? layoutOf(dims) : params.layout
    this.type = type as FrameTensorType
    const [channels, height, width] = this.layout === 'NCHW' ? dims.slice(1) : [dims[3], dims[1], dims[2]]
    if (channels !== null && channels !== 1 && channels !== 3)
      throw new Error(`the model's input is ${shapeText(input)}: ${channels} channels, not 1 or 3`)
    this.channels = channels ?? 3
    this.#fixed = { width: width ?? null, height: height ?? null }
    this.#params = params
  }

  /** Undefined when it follows that of the frames. */
  get size(): Size | undefined {
    const width = this.#fixed.width ?? this.#params.input_width
    const height = this.#fixed.height ?? this.#params.input_height
    return width && height ? { width, height } : undefined
  }

  /** How a frame of this size is put in. */
  frame(frame: Size): TensorFrame {
    const { input_range, mean, std, channels, fit, input_width, input_height } = this.#params
    const [width, height] = [
      this.#fixed.width ?? input_width ?? multipleOf32(frame.width),
      this.#fixed.height ?? input_height ?? multipleOf32(frame.height),
    ]
    const gray = this.channels === 1
    return new TensorFrame({
      width,
      height,
      fit,
      layout: this.layout,
      type: this.type,
      channels: gray ? 'gray' : channels,
      range: this.type === 'uint8' ? [0, 255] : rangeOf(input_range),
      ...(this.type !== 'uint8' && { mean: gray ? mean.slice(0, 1) : mean, std: gray ? std.slice(0, 1) : std }),
    })
  }
}

/** Where the frame lies in an output: `[1,3,H,W]`, `[1,H,W,3]`, `[1,1,H,W]`, `[1,H,W]` or `[H,W]`. */
export function outputShape(dims: readonly number[], layout: Layout): Size & { channels: 1 | 3; layout: Layout } {
  const sizes = dims.length === 4 && dims[0] === 1 ? dims.slice(1) : dims
  const flat = sizes.length === 2 ? [1, ...sizes] : sizes
  if (flat.length === 3) {
    for (const order of layout === 'NCHW' ? (['NCHW', 'NHWC'] as const) : (['NHWC', 'NCHW'] as const)) {
      const [channels, height, width] = (order === 'NCHW' ? flat : [flat[2], flat[0], flat[1]]) as [
        number,
        number,
        number,
      ]
      if (channels === 1 || channels === 3) return { width, height, channels, layout: order }
    }
  }
  throw new Error(`the model's output is ${dims.join('x')}, not a frame of 1 or 3 channels`)
}

function layoutOf(dims: TensorInfo['dims']): Layout {
  return dims[1] !== 1 && dims[1] !== 3 && (dims[3] === 1 || dims[3] === 3) ? 'NHWC' : 'NCHW'
}

function multipleOf32(side: number): number {
  return Math.max(32, Math.round(side / 32) * 32)
}

function shapeText({ dims }: TensorInfo): string {
  return dims.map((size) => size ?? '?').join('x')
}
