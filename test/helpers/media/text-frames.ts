import { frameBytes, type VideoFrame } from '../../../src/core/media/frame.ts'
import { TextMasks } from '../../../src/stream/overlay/glyphs-mask.ts'
import { ink, paint } from '../../../src/stream/overlay/paint.ts'

/** A line of text moving through the frame. */
export type MovingText = {
  text: string
  /** The em in pixels. */
  size: number
  /** Left end and baseline at frame 0, in pixels. */
  x: number
  y: number
  /** Pixels per frame. */
  dx: number
  dy: number
  /** Red, green, blue. */
  colour: [number, number, number]
}

export const WORDS: MovingText[] = [
  { text: 'ACCOUNT 4417 1234 5678', size: 48, x: 60, y: 110, dx: 6, dy: 0, colour: [250, 250, 250] },
  { text: 'Jane Example, 12 Mill Lane', size: 36, x: 600, y: 230, dx: -4, dy: 1, colour: [255, 220, 60] },
  { text: 'password: hunter2', size: 28, x: 200, y: 360, dx: 3, dy: 2, colour: [10, 10, 20] },
  { text: 'Order 2026-11-23 total 512.40', size: 24, x: 700, y: 480, dx: -2, dy: -1, colour: [240, 240, 240] },
  { text: 'CONFIDENTIAL', size: 80, x: 300, y: 620, dx: 5, dy: -1, colour: [220, 40, 40] },
]

/** A frame with gradients, and nothing that looks like text. */
export function textFrame(width: number, height: number, number: number, words: readonly MovingText[]): VideoFrame {
  const data = new Uint8Array(frameBytes('yuv420p', width, height)).fill(128)
  const across = Float32Array.from({ length: width }, (_, x) => 90 + 40 * Math.sin((x + number * 2) / 180))
  for (let y = 0; y < height; y++) {
    const down = 20 * Math.sin(y / 130)
    for (let x = 0; x < width; x++) data[y * width + x] = across[x]! + down
  }
  const frame: VideoFrame = { data, format: 'yuv420p', width, height, pts: number * 3000 }
  for (const word of words) {
    const mask = masks.get(word.text, word.size)
    const x = Math.round(word.x + number * word.dx) - mask.left
    const y = Math.round(word.y + number * word.dy) - mask.baseline
    paint(frame, { alpha: mask.ink, width: mask.width, height: mask.height }, x, y, ink(...word.colour))
  }
  return frame
}

const masks = new TextMasks(32)
