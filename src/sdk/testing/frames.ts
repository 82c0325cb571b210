import { chromaSize, frameBytes, type PixelFormat, type VideoFrame } from '../../core/media/frame.ts'
import type { PipelineClass } from '../pipeline-class.ts'

export type TestFrameOptions = {
  /** Default 320. */
  width?: number
  /** Default 240. */
  height?: number
  /** Default `yuv420p`. */
  format?: PixelFormat
  /** Frame number, which moves the frame's content; default 0. */
  number?: number
  /** In 90 kHz ticks; default: the time of frame `number` at 30 frames per second. */
  pts?: number
}

/** A frame with gradients, edges and a bright square that moves with `number`; equal options give equal bytes. */
export function testFrame(options: TestFrameOptions = {}): VideoFrame {
  const { width = 320, height = 240, format = 'yuv420p', number = 0, pts = number * 3000 } = options
  const data = new Uint8Array(frameBytes(format, width, height))
  const luma = lumaOf(width, height, number)
  if (format === 'gray') data.set(luma)
  else if (format === 'yuv420p') {
    data.set(luma)
    const [columns, rows] = [chromaSize(width), chromaSize(height)]
    for (let i = 0; i < columns * rows; i++) {
      data[width * height + i] = 64 + Math.floor(((i % columns) * 128) / columns)
      data[width * height + columns * rows + i] = 192 - Math.floor((Math.floor(i / columns) * 128) / rows)
    }
  } else {
    const step = format === 'rgba' ? 4 : 3
    luma.forEach((value, i) => {
      const pixel = [value, 255 - value, (value * 2) & 255, 255]
      for (let c = 0; c < step; c++) data[i * step + c] = pixel[c]!
    })
  }
  return { data, format, width, height, pts }
}

/** Frames 0 to `count - 1` in the pipeline's input format, and in its input size if it has one. */
export function testFrames(pipeline: PipelineClass, count: number, options: TestFrameOptions = {}): VideoFrame[] {
  const { format = 'yuv420p', width, height } = pipeline.input ?? {}
  const asked = { format, ...(width && height && { width, height }) }
  return Array.from({ length: count }, (_, number) => testFrame({ ...asked, number, ...options }))
}

function lumaOf(width: number, height: number, number: number): Uint8Array {
  const luma = new Uint8Array(width * height)
  const square = Math.max(4, Math.min(width, height) >> 2)
  const left = (number * 4) % Math.max(1, width - square)
  const top = (number * 2) % Math.max(1, height - square)
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const inside = x >= left && x < left + square && y >= top && y < top + square
      luma[y * width + x] = inside ? 235 : 32 + Math.floor((x * 96) / width) + (((x >> 4) ^ (y >> 4)) & 1) * 40
    }
  }
  return luma
}
