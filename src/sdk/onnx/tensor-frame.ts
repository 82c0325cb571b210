import { AppError } from '../../core/errors.ts'
import { frameBytes, type VideoFrame } from '../../core/media/frame.ts'
import { FrameScaler, type Placement } from '../frame-scaler.ts'
import { floatFromHalf, halfFromFloat } from './half-float.ts'
import type { Tensor, TensorData } from './tensor.ts'

export type FrameTensorType = 'float32' | 'float16' | 'uint8'

export type FrameOptions = {
  /** Width of the tensor in pixels. */
  width: number
  /** Height of the tensor in pixels. */
  height: number
  /** `NCHW` (default): one plane after the other. `NHWC`: the channels of each pixel side by side. */
  layout?: 'NCHW' | 'NHWC'
  /** Default `float32`. */
  type?: FrameTensorType
  /** Order of the channels; default `rgb`. */
  channels?: 'rgb' | 'bgr' | 'gray'
  /** Values of black and white before `mean` and `std`; default 0 and 1, for `uint8` 0 and 255. */
  range?: readonly [number, number]
  /** Subtracted, one value per channel in channel order; default 0. */
  mean?: readonly number[]
  /** Divided by after the mean is subtracted, one value per channel; default 1. */
  std?: readonly number[]
  /** How a frame of another aspect ratio fits: stretched (default), or centred with grey bars. */
  fit?: 'stretch' | 'letterbox'
}

/** Size and time of a frame made from a tensor: pixels, and 90 kHz ticks. */
export type FrameTarget = Pick<VideoFrame, 'width' | 'height' | 'pts'>

const LAST_SEEN = 8

/** Converts frames to a model's tensors and back. Use one per model input or output. */
export class TensorFrame {
  readonly width: number
  readonly height: number
  readonly type: FrameTensorType
  /** 1 or 3. */
  readonly channels: number
  /** Shape of one frame, with a batch dimension of 1. */
  readonly dims: readonly number[]
  readonly #nhwc: boolean
  readonly #bgr: boolean
  readonly #letterbox: boolean
  readonly #tables: TensorData[FrameTensorType][]
  readonly #scales: { factor: number; offset: number }[]
  readonly #scalers = new Map<string, FrameScaler>()
  #data: TensorData[FrameTensorType] | undefined

  /** @throws RangeError if the options contradict each other. */
  constructor(options: FrameOptions) {
    const { width, height, layout = 'NCHW', type = 'float32', channels = 'rgb', fit = 'stretch' } = options
    for (const side of [width, height]) {
      if (!Number.isInteger(side) || side < 1 || side > 8192) throw new RangeError(`a side of ${side} pixels`)
    }
    this.width = width
    this.height = height
    this.type = type
    this.channels = channels === 'gray' ? 1 : 3
    this.#nhwc = layout === 'NHWC'
    this.#bgr = channels === 'bgr'
    this.#letterbox = fit === 'letterbox'
    this.dims = this.#nhwc ? [1, height, width, this.channels] : [1, this.channels, height, width]
    const [low, high] = options.range ?? (type === 'uint8' ? [0, 255] : [0, 1])
    const [mean, std] = [options.mean, options.std].map((list, i) => perChannel(list, this.channels, i))
    const factors = mean!.map((m, c) => ({ factor: (high - low) / 255 / std![c]!, offset: (low - m) / std![c]! }))
    if (low === high || factors.some(({ factor }) => !Number.isFinite(factor)))
      throw new RangeError('range and std must not be empty or 0')
    this.#tables = factors.map(({ factor, offset }) => table(type, factor, offset))
    this.#scales = factors.map(({ factor, offset }) => ({ factor: 1 / factor, offset: -offset / factor }))
  }

  /** The rectangle of the tensor that a frame of this size fills, in pixels of the tensor. */
  placement(width: number, height: number): Placement {
    if (!this.#letterbox) return { x: 0, y: 0, width: this.width, height: this.height }
    const scale = Math.min(this.width / width, this.height / height)
    const inner = { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) }
    return { x: (this.width - inner.width) >> 1, y: (this.height - inner.height) >> 1, ...inner }
  }

  /**
   * Converts a frame of any size and format. The tensor's memory is reused by the next call, unless a model has it at
   * that moment.
   */
  fromFrame(frame: VideoFrame): Tensor<FrameTensorType> {
    const planes = this.#scaler(frame.width, frame.height).read(frame, this.channels)
    const area = this.width * this.height
    if (!this.#data || this.#data.buffer.detached) this.#data = newData(this.type, area * this.channels)
    const out = this.#data
    const step = this.#nhwc ? this.channels : 1
    for (let c = 0; c < this.channels; c++) {
      const values = this.#tables[c]!
      const plane = planes[this.#bgr ? 2 - c : c]!
      for (let i = 0, at = this.#nhwc ? c : c * area; i < area; i++, at += step)
        out[at] = values[plane[i] as number] as number
    }
    return { type: this.type, dims: this.dims, data: out } as Tensor<FrameTensorType>
  }

  /**
   * Converts a tensor of this shape, of any element type, to a frame of the target size: `gray` for one channel,
   * `rgb24` for three. Values outside the range are clipped. Throws `pipeline-failed` if the tensor is not such a
   * frame.
   */
  toFrame(tensor: Tensor, target: FrameTarget): VideoFrame {
    const area = this.width * this.height
    const values = this.#valuesOf(tensor)
    const step = this.#nhwc ? this.channels : 1
    const planes: Uint8Array[] = []
    for (let c = 0; c < this.channels; c++) {
      const { factor, offset } = this.#scales[c]!
      const plane = new Uint8ClampedArray(area)
      for (let i = 0, at = this.#nhwc ? c : c * area; i < area; i++, at += step)
        plane[i] = (values[at] as number) * factor + offset
      planes[this.#bgr ? 2 - c : c] = new Uint8Array(plane.buffer)
    }
    const format = this.channels === 1 ? 'gray' : 'rgb24'
    const { width, height, pts } = target
    const data = new Uint8Array(frameBytes(format, width, height))
    this.#scaler(width, height).write(planes, data)
    return { data, format, width, height, pts }
  }

  #valuesOf({ type, dims, data }: Tensor): ArrayLike<number> {
    const trimmed = dims[0] === 1 && dims.length > 1 ? dims.slice(1) : dims
    const flat = trimmed.filter((size, i) => size !== 1 || i !== (this.#nhwc ? trimmed.length - 1 : 0))
    const expected = this.dims.slice(1).filter((size, i) => size !== 1 || i !== (this.#nhwc ? 2 : 0))
    if (flat.join() !== expected.join() || data.length !== this.width * this.height * this.channels)
      throw new AppError('pipeline-failed', `the tensor is ${dims.join('x')}, not ${this.dims.join('x')}`)
    if (type === 'int64' || type === 'uint64') return Float64Array.from(data as BigInt64Array, Number)
    return type === 'float16' ? Float32Array.from(data, floatFromHalf) : data
  }

  #scaler(width: number, height: number): FrameScaler {
    const key = `${width}x${height}`
    let scaler = this.#scalers.get(key)
    if (!scaler) {
      if (this.#scalers.size >= LAST_SEEN) this.#scalers.clear()
      scaler = new FrameScaler(width, height, this.width, this.height, this.placement(width, height))
      this.#scalers.set(key, scaler)
    }
    return scaler
  }
}

/** The smallest and the largest finite value, kept at least slightly apart. */
export function extent({ type, data }: Tensor): [number, number] {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
  for (let i = 0; i < data.length; i++) {
    const value = type === 'float16' ? floatFromHalf(data[i] as number) : Number(data[i])
    if (!Number.isFinite(value)) continue
    if (value < low) low = value
    if (value > high) high = value
  }
  if (high > low) return [low, high]
  return high === low ? [low, low + 1] : [0, 1]
}

function perChannel(given: readonly number[] | undefined, channels: number, fallback: number): readonly number[] {
  const list = given ?? Array(channels).fill(fallback)
  if (list.length !== channels) throw new RangeError(`mean and std take ${channels} values, not ${list.length}`)
  return list
}

/** The tensor value of each of the 256 samples. */
function table(type: FrameTensorType, factor: number, offset: number): TensorData[FrameTensorType] {
  const values = Float32Array.from({ length: 256 }, (_, sample) => sample * factor + offset)
  if (type === 'float16') return Uint16Array.from(values, halfFromFloat)
  return type === 'uint8' ? new Uint8Array(Uint8ClampedArray.from(values).buffer) : values
}

function newData(type: FrameTensorType, length: number): TensorData[FrameTensorType] {
  if (type === 'float16') return new Uint16Array(length)
  return type === 'uint8' ? new Uint8Array(length) : new Float32Array(length)
}
