import { chromaSize, planes, type VideoFrame } from 'millrace/pipeline'
import type { Box } from './motion.ts'

export type Colour = readonly [y: number, u: number, v: number]
export const YELLOW: Colour = [210, 16, 146]
export const WHITE: Colour = [235, 128, 128]

/** The lit segments of each digit: top, upper left, upper right, middle, lower left, lower right, bottom. */
const DIGITS = [
  '1110111',
  '0010010',
  '1011101',
  '1011011',
  '0111010',
  '1101011',
  '1101111',
  '1010010',
  '1111111',
  '1111011',
]

/** Draws into a `yuv420p` frame, clipped to it. */
export class Drawing {
  readonly #frame: VideoFrame
  readonly #planes: ReturnType<typeof planes>

  constructor(frame: VideoFrame) {
    this.#frame = frame
    this.#planes = planes(frame)
  }

  fill({ x, y, width, height }: Box, [luma, u, v]: Colour): void {
    const { width: columns, height: rows } = this.#frame
    const [left, right] = [clamp(x, columns), clamp(x + width, columns)]
    const [top, bottom] = [clamp(y, rows), clamp(y + height, rows)]
    for (let row = top; row < bottom; row++) {
      this.#planes.y.fill(luma, row * columns + left, row * columns + right)
    }
    const stride = chromaSize(columns)
    for (let row = top >> 1; row < chromaSize(bottom); row++) {
      this.#planes.u.fill(u, row * stride + (left >> 1), row * stride + chromaSize(right))
      this.#planes.v.fill(v, row * stride + (left >> 1), row * stride + chromaSize(right))
    }
  }

  outline({ x, y, width, height }: Box, colour: Colour, thick = 2): void {
    this.fill({ x, y, width, height: thick }, colour)
    this.fill({ x, y: y + height - thick, width, height: thick }, colour)
    this.fill({ x, y, width: thick, height }, colour)
    this.fill({ x: x + width - thick, y, width: thick, height }, colour)
  }

  /** Draws a whole number, `height` pixels high, with its upper left corner at x and y. */
  number(value: number, x: number, y: number, height: number, colour: Colour): void {
    const [long, thick] = [Math.round(height / 2), Math.max(2, Math.round(height / 8))]
    for (const [place, digit] of [...String(value)].entries()) {
      const left = x + place * (long + 2 * thick)
      const bars: Box[] = [
        { x: left, y, width: long, height: thick },
        { x: left, y, width: thick, height: height / 2 },
        { x: left + long - thick, y, width: thick, height: height / 2 },
        { x: left, y: y + (height - thick) / 2, width: long, height: thick },
        { x: left, y: y + height / 2, width: thick, height: height / 2 },
        { x: left + long - thick, y: y + height / 2, width: thick, height: height / 2 },
        { x: left, y: y + height - thick, width: long, height: thick },
      ]
      for (const [bar, box] of bars.entries()) if (DIGITS[Number(digit)]?.[bar] === '1') this.fill(box, colour)
    }
  }
}

const clamp = (value: number, limit: number) => Math.min(limit, Math.max(0, Math.round(value)))
