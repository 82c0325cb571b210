import { frameBytes, type PixelFormat, planes, type VideoFrame } from '../../core/media/frame.ts'
import { type Ink, ink } from './paint.ts'

/** Share of a frame's brightness that remains behind the text. */
const DIM = 0.35
const CARD_TOP = ink(30, 35, 40)
const CARD_BOTTOM = ink(13, 15, 19)
/** Thresholds of a 4x4 ordered dither, which hides banding in the slow gradient. */
const DITHER = [0, 8, 2, 10, 12, 4, 14, 6, 3, 11, 1, 9, 15, 7, 13, 5].map((step) => (step + 0.5) / 16)

/** A copy of a frame, grey and dark enough for text on it; alpha becomes opaque. */
export function dimmed(base: VideoFrame): Uint8Array {
  const data = new Uint8Array(base.data.length)
  switch (base.format) {
    case 'gray':
      for (let at = 0; at < data.length; at++) data[at] = base.data[at]! * DIM + 0.5
      break
    case 'yuv420p': {
      const luma = base.width * base.height
      for (let at = 0; at < luma; at++) data[at] = Math.max(16, 16 + (base.data[at]! - 16) * DIM + 0.5)
      data.fill(128, luma)
      break
    }
    case 'rgb24':
    case 'rgba': {
      const stride = base.format === 'rgba' ? 4 : 3
      data.fill(255)
      for (let at = 0; at + 2 < data.length; at += stride) {
        const grey = 0.299 * base.data[at]! + 0.587 * base.data[at + 1]! + 0.114 * base.data[at + 2]!
        data[at] = data[at + 1] = data[at + 2] = grey * DIM + 0.5
      }
    }
  }
  return data
}

/** A dark card for when there is no frame yet: a vertical gradient. */
export function card(format: PixelFormat, width: number, height: number): Uint8Array {
  const data = new Uint8Array(frameBytes(format, width, height))
  const size = { width, height }
  switch (format) {
    case 'gray':
      gradient(data, size, 1, 0, 'grey')
      break
    case 'yuv420p': {
      const plane = planes({ data, format, width, height, pts: 0 })
      gradient(plane.y, size, 1, 0, 'y')
      // A single chroma step is a visible edge in the dark, so the tint is constant.
      plane.u.fill((CARD_TOP.u + CARD_BOTTOM.u) / 2)
      plane.v.fill((CARD_TOP.v + CARD_BOTTOM.v) / 2)
      break
    }
    case 'rgb24':
    case 'rgba': {
      const stride = format === 'rgba' ? 4 : 3
      data.fill(255)
      gradient(data, size, stride, 0, 'r')
      gradient(data, size, stride, 1, 'g')
      gradient(data, size, stride, 2, 'b')
    }
  }
  return data
}

function gradient(
  pixels: Uint8Array,
  { width, height }: { width: number; height: number },
  stride: number,
  offset: number,
  part: keyof Ink,
): void {
  for (let y = 0, at = offset; y < height; y++) {
    const value = CARD_TOP[part] + (CARD_BOTTOM[part] - CARD_TOP[part]) * (y / height)
    for (let x = 0; x < width; x++, at += stride) pixels[at] = value + DITHER[(y & 3) * 4 + (x & 3)]!
  }
}
