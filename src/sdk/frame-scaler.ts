import { chromaSize, type VideoFrame } from '../core/media/frame.ts'
import { type Plane, Resampler } from './resample.ts'

/** A rectangle within a frame, in pixels. */
export type Placement = { x: number; y: number; width: number; height: number }

/** Grey level of the bars around a frame that does not fill the tensor. */
const BARS = 114

const FRACTION = 10
/** `CLIP[i]` is `i - CLIP_BASE`, kept within a byte. */
const CLIP_BASE = 384
const CLIP = Uint8ClampedArray.from({ length: 1024 }, (_, i) => i - CLIP_BASE)
const LUMA = terms((sample) => 1.164 * (sample - 16) + CLIP_BASE + 0.5)
const CR_RED = terms((sample) => 1.596 * (sample - 128))
const CR_GREEN = terms((sample) => 0.813 * (sample - 128))
const CB_GREEN = terms((sample) => 0.392 * (sample - 128))
const CB_BLUE = terms((sample) => 2.017 * (sample - 128))

/** One term of the conversion for each of the 256 sample values, in fixed point with `FRACTION` bits. */
function terms(of: (sample: number) => number): Int32Array {
  return Int32Array.from({ length: 256 }, (_, sample) => Math.round(of(sample) * 2 ** FRACTION))
}

/** Scales frames of one size to separate 8-bit planes of another size, and such planes back to interleaved pixels. */
export class FrameScaler {
  readonly #frameWidth: number
  readonly #frameHeight: number
  readonly #width: number
  readonly #placement: Placement
  readonly #planes: Uint8Array[]
  #shrink: Resampler | undefined
  #shrinkChroma: Resampler | undefined
  #grow: Resampler | undefined

  constructor(frameWidth: number, frameHeight: number, width: number, height: number, placement: Placement) {
    this.#frameWidth = frameWidth
    this.#frameHeight = frameHeight
    this.#width = width
    this.#placement = placement
    this.#planes = Array.from({ length: 3 }, () => new Uint8Array(width * height).fill(BARS))
  }

  /** Returns red, green and blue planes, or one luma plane. Their memory is reused by the next call. */
  read(frame: VideoFrame, channels: number): Uint8Array[] {
    if (frame.format === 'yuv420p') this.#readYuv(frame, channels)
    else {
      const step = frame.format === 'rgba' ? 4 : frame.format === 'rgb24' ? 3 : 1
      const [red, green, blue] = this.#planes as [Uint8Array, Uint8Array, Uint8Array]
      this.#shrink ??= this.#to(this.#frameWidth, this.#frameHeight)
      const targets = this.#planes.slice(0, step === 1 ? 1 : 3).map((plane) => this.#target(plane))
      this.#shrink.scale({ data: frame.data, offset: 0, step, stride: this.#frameWidth * step }, targets)
      if (step === 1 && channels === 3) {
        green.set(red)
        blue.set(red)
      } else if (step > 1 && channels === 1) {
        for (let i = 0; i < red.length; i++)
          red[i] = 0.299 * (red[i] as number) + 0.587 * (green[i] as number) + 0.114 * (blue[i] as number) + 0.5
      }
    }
    return this.#planes
  }

  /** Scales the placed part of planes to pixels of the frame's size. */
  write(planes: readonly Uint8Array[], data: Uint8Array): void {
    const { x, y, width, height } = this.#placement
    this.#grow ??= new Resampler(width, height, this.#frameWidth, this.#frameHeight)
    const step = planes.length
    planes.forEach((plane, offset) => {
      const from = { data: plane, offset: y * this.#width + x, step: 1, stride: this.#width }
      this.#grow!.scale(from, [{ data, offset, step, stride: this.#frameWidth * step }])
    })
  }

  #readYuv({ data }: VideoFrame, channels: number): void {
    const [width, height] = [this.#frameWidth, this.#frameHeight]
    const chroma = { width: chromaSize(width), height: chromaSize(height) }
    const area = width * height
    this.#shrink ??= this.#to(width, height)
    this.#shrink.scale({ data, offset: 0, step: 1, stride: width }, [this.#target(this.#planes[0]!)])
    if (channels === 3) {
      this.#shrinkChroma ??= this.#to(chroma.width, chroma.height)
      for (const [plane, offset] of [
        [this.#planes[1]!, area],
        [this.#planes[2]!, area + chroma.width * chroma.height],
      ] as const)
        this.#shrinkChroma.scale({ data, offset, step: 1, stride: chroma.width }, [this.#target(plane)])
    }
    this.#convertPlaced(channels)
  }

  /** Converts limited-range YCbCr to full-range RGB (ITU-R BT.601-7 §2.5), in place, within the placed rectangle. */
  #convertPlaced(channels: number): void {
    const [a, b, c] = this.#planes as [Uint8Array, Uint8Array, Uint8Array]
    const { x, y, width, height } = this.#placement
    for (let row = 0; row < height; row++) {
      const from = (y + row) * this.#width + x
      for (let i = from; i < from + width; i++) {
        const luma = LUMA[a[i] as number] as number
        if (channels === 1) {
          a[i] = CLIP[luma >> FRACTION] as number
          continue
        }
        const cb = b[i] as number
        const cr = c[i] as number
        a[i] = CLIP[(luma + (CR_RED[cr] as number)) >> FRACTION] as number
        b[i] = CLIP[(luma - (CB_GREEN[cb] as number) - (CR_GREEN[cr] as number)) >> FRACTION] as number
        c[i] = CLIP[(luma + (CB_BLUE[cb] as number)) >> FRACTION] as number
      }
    }
  }

  #to(width: number, height: number): Resampler {
    return new Resampler(width, height, this.#placement.width, this.#placement.height)
  }

  #target(data: Uint8Array): Plane {
    const { x, y } = this.#placement
    return { data, offset: y * this.#width + x, step: 1, stride: this.#width }
  }
}
