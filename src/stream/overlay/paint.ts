import { chromaSize, planes, type VideoFrame } from '../../core/media/frame.ts'

/** A colour in every pixel format: R'G'B' and grey in full range, Y'CbCr in limited range (ITU-R BT.601). */
export type Ink = { r: number; g: number; b: number; grey: number; y: number; u: number; v: number }

/** Coverage to blend a colour by: `alpha` from 0 to 255, rows packed. */
export type Coverage = { alpha: Uint8Array; width: number; height: number }

/** The ink of an R'G'B' colour, each component from 0 to 255. */
export function ink(r: number, g: number, b: number): Ink {
  return {
    r,
    g,
    b,
    grey: 0.299 * r + 0.587 * g + 0.114 * b,
    y: 16 + 0.2568 * r + 0.5041 * g + 0.0979 * b,
    u: 128 - 0.1482 * r - 0.291 * g + 0.4392 * b,
    v: 128 + 0.4392 * r - 0.3678 * g - 0.0714 * b,
  }
}

/**
 * Blends `colour` into `frame` by `coverage`, placed at pixel (x, y) and clipped to the frame. `opacity` from 0 to 1.
 */
export function paint(frame: VideoFrame, coverage: Coverage, x: number, y: number, colour: Ink, opacity = 1): void {
  const target = { width: frame.width, height: frame.height }
  switch (frame.format) {
    case 'gray':
      blend(frame.data, target, 1, coverage, x, y, [colour.grey], opacity)
      break
    case 'rgb24':
      blend(frame.data, target, 3, coverage, x, y, [colour.r, colour.g, colour.b], opacity)
      break
    case 'rgba':
      blend(frame.data, target, 4, coverage, x, y, [colour.r, colour.g, colour.b], opacity)
      break
    case 'yuv420p': {
      const plane = planes(frame)
      blend(plane.y, target, 1, coverage, x, y, [colour.y], opacity)
      const half = halve(coverage, x & 1, y & 1)
      const chroma = { width: chromaSize(frame.width), height: chromaSize(frame.height) }
      blend(plane.u, chroma, 1, half, x >> 1, y >> 1, [colour.u], opacity)
      blend(plane.v, chroma, 1, half, x >> 1, y >> 1, [colour.v], opacity)
    }
  }
}

function blend(
  pixels: Uint8Array,
  target: { width: number; height: number },
  stride: number,
  coverage: Coverage,
  x: number,
  y: number,
  values: number[],
  opacity: number,
): void {
  const [first = 0, second = 0, third = 0] = values
  const coloured = values.length === 3
  const scale = opacity / 255
  const fromColumn = Math.max(0, -x)
  const toColumn = Math.min(coverage.width, target.width - x)
  const toRow = Math.min(coverage.height, target.height - y)
  for (let row = Math.max(0, -y); row < toRow; row++) {
    let from = row * coverage.width + fromColumn
    let at = ((y + row) * target.width + x + fromColumn) * stride
    for (let column = fromColumn; column < toColumn; column++, from++, at += stride) {
      const alpha = coverage.alpha[from]!
      if (alpha === 0) continue
      const share = alpha * scale
      // Typed arrays truncate, so half a step is added to round.
      pixels[at] = pixels[at]! + (first - pixels[at]!) * share + 0.5
      if (coloured) {
        pixels[at + 1] = pixels[at + 1]! + (second - pixels[at + 1]!) * share + 0.5
        pixels[at + 2] = pixels[at + 2]! + (third - pixels[at + 2]!) * share + 0.5
      }
    }
  }
}

/**
 * Coverage for chroma planes: the mean of 2x2 pixels, from a corner that is `oddX`, `oddY` pixels off the chroma grid.
 */
function halve(coverage: Coverage, oddX: number, oddY: number): Coverage {
  const { alpha, width, height } = coverage
  const halfWidth = chromaSize(width + oddX)
  const halfHeight = chromaSize(height + oddY)
  const sums = new Uint16Array(halfWidth * halfHeight)
  for (let row = 0, from = 0; row < height; row++) {
    const to = ((row + oddY) >> 1) * halfWidth
    for (let column = 0; column < width; column++, from++) sums[to + ((column + oddX) >> 1)]! += alpha[from]!
  }
  return { alpha: Uint8Array.from(sums, (sum) => (sum + 2) >> 2), width: halfWidth, height: halfHeight }
}
