import type { OnnxModel } from './model.ts'
import { type OnnxParams, rangeOf } from './params.ts'
import type { TensorInfo } from './tensor.ts'
import { type FrameTensorType, TensorFrame } from './tensor-frame.ts'

export type Layout = 'NCHW' | 'NHWC'
export type Size = { width: number; height: number }

const TYPES: readonly string[] = ['float32', 'float16', 'uint8']
/** Masks have integer or boolean elements. */
const OUTPUT_TYPES = [
  ...[
    'float32',
    'float16',
    'float64',
    'uint8',
    'int8',
    'uint16',
    'int16',
    'uint32',
    'int32',
    'uint64',
    'int64',
    'bool',
  ],
]

/** The shape of the model's one input. Throws the reason if the input is not a frame. */
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

  /** Undefined if it follows the frames' size. */
  get size(): Size | undefined {
    const width = this.#fixed.width ?? this.#params.input_width
    const height = this.#fixed.height ?? this.#params.input_height
    return width && height ? { width, height } : undefined
  }

  /** The tensor layout for a frame of this size. */
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

/** The frame's place in an output: `[1,3,H,W]`, `[1,H,W,3]`, `[1,1,H,W]`, `[1,H,W]` or `[H,W]`. */
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

/**
 * The output that is the frame: the named one, or the first whose declared shape and type fit. Throws an error that
 * lists the model's outputs if there is none.
 */
export function frameOutput(outputs: readonly TensorInfo[], wanted: string | undefined, layout: Layout): TensorInfo {
  const all = outputs.map((output) => `${output.name} (${output.type} ${shapeText(output) || 'of no known shape'})`)
  if (wanted !== undefined) {
    const found = outputs.find(({ name }) => name === wanted)
    if (!found) throw new Error(`the model has no output ${wanted}; it has ${all.join(', ')}`)
    if (mayBeFrame(found, layout)) return found
    throw new Error(`the model's output ${wanted} is ${found.type} ${shapeText(found)}, not a frame of 1 or 3 channels`)
  }
  const found = outputs.find((output) => mayBeFrame(output, layout))
  if (found) return found
  throw new Error(`the model has no output that is a frame of 1 or 3 channels; it has ${all.join(', ')}`)
}

/** Unknown dimensions may have any size; a model that declares none is accepted until it has run. */
function mayBeFrame({ type, dims }: TensorInfo, layout: Layout): boolean {
  if (!OUTPUT_TYPES.includes(type)) return false
  if (dims.length === 0) return true
  // Only a known dimension can be the channel, and 5 is not a channel count.
  const known = dims.map((size, at) => size ?? (at === 0 && dims.length === 4 ? 1 : undefined))
  const options = known.map((size) => (size === undefined ? [1, 5] : [size]))
  const tries = options.reduce<number[][]>((all, sizes) => all.flatMap((one) => sizes.map((n) => [...one, n])), [[]])
  return tries.some((sizes) => {
    try {
      outputShape(sizes, layout)
      return true
    } catch {
      return false
    }
  })
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
