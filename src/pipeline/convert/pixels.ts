// Conversion between pixel formats and resolutions; YCbCr in limited range, RGB and grey in full range (ITU-T H.273
// §8.3).
import { chromaSize, frameBytes, type PixelFormat } from '../../core/media/frame.ts'
import { Resampler } from '../../sdk/resample.ts'

/** Pixels of one frame, packed as in `VideoFrame`. */
export type Image = { data: Uint8Array; format: PixelFormat; width: number; height: number }

/** Luma weights of red and blue by MatrixCoefficients (H.273 table 4); BT.601 for any other value. */
const WEIGHTS: Record<number, readonly [number, number]> = {
  1: [0.2126, 0.0722],
  4: [0.3, 0.11],
  7: [0.212, 0.087],
  9: [0.2627, 0.0593],
}
const BT601 = [0.299, 0.114] as const

const FRACTION = 10
/** `CLIP[i]` is `i - CLIP_BASE`, kept within a byte. */
const CLIP_BASE = 512
const CLIP = Uint8ClampedArray.from({ length: 1536 }, (_, i) => i - CLIP_BASE)
const STEPS: Record<PixelFormat, number> = { yuv420p: 1, rgb24: 3, rgba: 4, gray: 1 }

/** Converts frames; keeps tables for the sizes it has seen. Not reentrant. */
export class PixelConverter {
  readonly #scalers = new Map<string, Resampler>()
  #scaled: Uint8Array = new Uint8Array(0)

  /** Writes all of `to.data`; `matrix` is that of the YCbCr side. */
  convert(from: Image, to: Image, matrix: number): void {
    if (from.width === to.width && from.height === to.height) {
      recode(from, to, matrix)
      return
    }
    if (from.format === to.format) {
      this.#scale(from, to)
      return
    }
    const { width, height } = to
    const bytes = frameBytes(from.format, width, height)
    if (this.#scaled.length !== bytes) this.#scaled = new Uint8Array(bytes)
    const scaled = { data: this.#scaled, format: from.format, width, height }
    this.#scale(from, scaled)
    recode(scaled, to, matrix)
  }

  /** Scales to another resolution in the same format. */
  #scale(from: Image, to: Image): void {
    const step = STEPS[from.format]
    const plane = ({ data, width }: Image, offset: number) => ({ data, offset, step, stride: width * step })
    const channels = (image: Image) => Array.from({ length: step }, (_, offset) => plane(image, offset))
    this.#scaler(from.width, from.height, to.width, to.height).scale(plane(from, 0), channels(to))
    if (from.format !== 'yuv420p') return
    const [a, b] = [from, to].map(({ width, height }) => ({ width: chromaSize(width), height: chromaSize(height) }))
    const scaler = this.#scaler(a!.width, a!.height, b!.width, b!.height)
    for (const index of [0, 1]) {
      const source = from.width * from.height + index * a!.width * a!.height
      const target = to.width * to.height + index * b!.width * b!.height
      scaler.scale({ data: from.data, offset: source, step: 1, stride: a!.width }, [
        { data: to.data, offset: target, step: 1, stride: b!.width },
      ])
    }
  }

  #scaler(...sizes: [number, number, number, number]): Resampler {
    const key = sizes.join()
    const known = this.#scalers.get(key)
    if (known) return known
    // Drops the tables of earlier resolutions.
    if (this.#scalers.size >= 4) this.#scalers.clear()
    const made = new Resampler(...sizes)
    this.#scalers.set(key, made)
    return made
  }
}

function recode(from: Image, to: Image, matrix: number): void {
  if (from.format === to.format) to.data.set(from.data)
  else if (from.format === 'yuv420p') fromYuv(from, to, matrix)
  else if (to.format === 'yuv420p') toYuv(from, to, matrix)
  else repack(from, to, matrix)
}

function fromYuv(from: Image, { data, format }: Image, matrix: number): void {
  const { width, height } = from
  const source = from.data
  const { luma, redCr, greenCb, greenCr, blueCb } = toRgb(matrix)
  const area = width * height
  if (format === 'gray') {
    for (let i = 0; i < area; i++) data[i] = CLIP[luma[source[i]!]! >> FRACTION]!
    return
  }
  const step = STEPS[format]
  if (step === 4) data.fill(255)
  const chromaWidth = chromaSize(width)
  const chromaArea = chromaWidth * chromaSize(height)
  for (let y = 0, at = 0, out = 0; y < height; y++) {
    let cb = area + (y >> 1) * chromaWidth
    for (let x = 0; x < width; x += 2, cb++) {
      const u = source[cb]!
      const v = source[cb + chromaArea]!
      const red = redCr[v]!
      const green = greenCb[u]! + greenCr[v]!
      const blue = blueCb[u]!
      const first = luma[source[at++]!]!
      data[out] = CLIP[(first + red) >> FRACTION]!
      data[out + 1] = CLIP[(first + green) >> FRACTION]!
      data[out + 2] = CLIP[(first + blue) >> FRACTION]!
      out += step
      if (x + 1 === width) break
      const second = luma[source[at++]!]!
      data[out] = CLIP[(second + red) >> FRACTION]!
      data[out + 1] = CLIP[(second + green) >> FRACTION]!
      data[out + 2] = CLIP[(second + blue) >> FRACTION]!
      out += step
    }
  }
}

function toYuv({ data: source, format, width, height }: Image, { data }: Image, matrix: number): void {
  const area = width * height
  const chromaWidth = chromaSize(width)
  const chromaArea = chromaWidth * chromaSize(height)
  if (format === 'gray') {
    for (let i = 0; i < area; i++) data[i] = 16 + ((source[i]! * 879 + 512) >> 10)
    data.fill(128, area)
    return
  }
  const step = STEPS[format]
  const { yRed, yGreen, yBlue, cbRed, cbGreen, cbBlue, crRed, crGreen, crBlue } = toYcc(matrix)
  for (let y = 0; y < height; y += 2) {
    // With odd dimensions the last row and column are repeated.
    const below = y + 1 < height ? width * step : 0
    const belowOut = below ? width : 0
    let at = y * width * step
    let out = y * width
    let cb = area + (y >> 1) * chromaWidth
    for (let x = 0; x < width; x += 2, cb++) {
      const right = x + 1 < width ? step : 0
      const [b, c, d] = [at + right, at + below, at + below + right]
      const r0 = source[at]!
      const g0 = source[at + 1]!
      const b0 = source[at + 2]!
      const r1 = source[b]!
      const g1 = source[b + 1]!
      const b1 = source[b + 2]!
      const r2 = source[c]!
      const g2 = source[c + 1]!
      const b2 = source[c + 2]!
      const r3 = source[d]!
      const g3 = source[d + 1]!
      const b3 = source[d + 2]!
      data[out] = (yRed * r0 + yGreen * g0 + yBlue * b0 + LUMA_BASE) >> 16
      if (right) data[out + 1] = (yRed * r1 + yGreen * g1 + yBlue * b1 + LUMA_BASE) >> 16
      if (belowOut) {
        data[out + belowOut] = (yRed * r2 + yGreen * g2 + yBlue * b2 + LUMA_BASE) >> 16
        if (right) data[out + belowOut + 1] = (yRed * r3 + yGreen * g3 + yBlue * b3 + LUMA_BASE) >> 16
      }
      const red = r0 + r1 + r2 + r3
      const green = g0 + g1 + g2 + g3
      const blue = b0 + b1 + b2 + b3
      data[cb] = (cbRed * red + cbGreen * green + cbBlue * blue + CHROMA_BASE) >> 18
      data[cb + chromaArea] = (crRed * red + crGreen * green + crBlue * blue + CHROMA_BASE) >> 18
      at += 2 * step
      out += 2
    }
  }
}

/** Converts between formats with interleaved pixels. */
function repack(from: Image, to: Image, matrix: number): void {
  const [inStep, outStep] = [STEPS[from.format], STEPS[to.format]]
  const { data: source } = from
  const { data } = to
  const [kr, kb] = WEIGHTS[matrix] ?? BT601
  const [red, blue] = [Math.round(kr * 65536), Math.round(kb * 65536)]
  const green = 65536 - red - blue
  if (outStep === 4) data.fill(255)
  for (let i = 0, at = 0, out = 0; i < from.width * from.height; i++, at += inStep, out += outStep) {
    if (inStep === 1) data[out] = data[out + 1] = data[out + 2] = source[at]!
    else if (outStep === 1)
      data[out] = (red * source[at]! + green * source[at + 1]! + blue * source[at + 2]! + 32768) >> 16
    else {
      data[out] = source[at]!
      data[out + 1] = source[at + 1]!
      data[out + 2] = source[at + 2]!
    }
  }
}

const LUMA_BASE = 16 * 65536 + 32768
const CHROMA_BASE = 128 * 262144 + 131072

type ToRgb = { luma: Int32Array; redCr: Int32Array; greenCb: Int32Array; greenCr: Int32Array; blueCb: Int32Array }
const rgbTables = new Map<number, ToRgb>()

/** The contribution of each sample value, in fixed point with `FRACTION` bits. */
function toRgb(matrix: number): ToRgb {
  const known = rgbTables.get(matrix)
  if (known) return known
  const [kr, kb] = WEIGHTS[matrix] ?? BT601
  const kg = 1 - kr - kb
  const terms = (of: (sample: number) => number) =>
    Int32Array.from({ length: 256 }, (_, sample) => Math.round(of(sample) * 2 ** FRACTION))
  const chroma = 255 / 224
  const made = {
    luma: terms((sample) => (255 / 219) * (sample - 16) + CLIP_BASE + 0.5),
    redCr: terms((sample) => chroma * 2 * (1 - kr) * (sample - 128)),
    greenCb: terms((sample) => (-chroma * 2 * (1 - kb) * kb * (sample - 128)) / kg),
    greenCr: terms((sample) => (-chroma * 2 * (1 - kr) * kr * (sample - 128)) / kg),
    blueCb: terms((sample) => chroma * 2 * (1 - kb) * (sample - 128)),
  }
  rgbTables.set(matrix, made)
  return made
}

/** Weights in fixed point with 16 bits. */
function toYcc(matrix: number) {
  const [kr, kb] = WEIGHTS[matrix] ?? BT601
  const kg = 1 - kr - kb
  const luma = (219 / 255) * 65536
  const chroma = (224 / 255) * 65536
  const whole = Math.round
  return {
    yRed: whole(luma * kr),
    yGreen: whole(luma * kg),
    yBlue: whole(luma * kb),
    cbRed: whole((-chroma * kr) / (2 * (1 - kb))),
    cbGreen: whole((-chroma * kg) / (2 * (1 - kb))),
    cbBlue: whole(chroma / 2),
    crRed: whole(chroma / 2),
    crGreen: whole((-chroma * kg) / (2 * (1 - kr))),
    crBlue: whole((-chroma * kb) / (2 * (1 - kr))),
  }
}
