import { planes, type VideoFrame } from 'millrace/pipeline'
import { type Box, boxHeight, boxWidth, grown } from './boxes.ts'

/** Width of the soft edge around a box, as a share of its shorter side: a hard edge would look like text again. */
const MARGIN = 0.25

/**
 * A `yuv420p` frame with blurred boxes; the input is not changed. A box becomes the means of its cells, whose size is
 * `reach` times its shorter side, interpolated smoothly. Unlike a moving average this cannot be inverted.
 */
export function blurBoxes(frame: VideoFrame, boxes: readonly Box[], reach: number): VideoFrame {
  if (boxes.length === 0) return frame
  const blurred = { ...frame, data: frame.data.slice() }
  const { y, u, v } = planes(blurred)
  const [chromaWidth, chromaHeight] = [(frame.width + 1) >> 1, (frame.height + 1) >> 1]
  for (const box of boxes) {
    const size = Math.min(boxWidth(box), boxHeight(box))
    const margin = 2 * Math.ceil((size * MARGIN) / 2)
    const outer = grown(box, margin, frame)
    const cell = Math.max(2, size * reach)
    blurPlane(y, frame.width, outer, cell, margin)
    const half = {
      left: outer.left >> 1,
      top: outer.top >> 1,
      right: Math.min(chromaWidth, (outer.right + 1) >> 1),
      bottom: Math.min(chromaHeight, (outer.bottom + 1) >> 1),
    }
    for (const plane of [u, v]) blurPlane(plane, chromaWidth, half, cell / 2, margin / 2)
  }
  return blurred
}

function blurPlane(plane: Uint8Array, stride: number, box: Box, cell: number, margin: number): void {
  const [width, height] = [boxWidth(box), boxHeight(box)]
  const origin = box.top * stride + box.left
  const columns = Math.max(1, Math.round(width / cell))
  const rows = Math.max(1, Math.round(height / cell))
  const means = cellMeans(plane, stride, origin, width, height, columns, rows)
  const across = interpolation(width, columns)
  const down = interpolation(height, rows)
  const [fadeAcross, fadeDown] = [fade(width, margin), fade(height, margin)]
  for (let y = 0; y < height; y++) {
    const upper = (down.cell[y] as number) * columns
    const lower = Math.min(upper + columns, (rows - 1) * columns)
    const v = down.share[y] as number
    for (let x = 0, at = origin + y * stride; x < width; x++, at++) {
      const left = across.cell[x] as number
      const right = Math.min(left + 1, columns - 1)
      const h = across.share[x] as number
      const above = (means[upper + left] as number) * (1 - h) + (means[upper + right] as number) * h
      const below = (means[lower + left] as number) * (1 - h) + (means[lower + right] as number) * h
      const source = plane[at] as number
      const weight = (fadeAcross[x] as number) * (fadeDown[y] as number)
      plane[at] = source + (above + (below - above) * v - source) * weight + 0.5
    }
  }
}

function cellMeans(
  plane: Uint8Array,
  stride: number,
  origin: number,
  width: number,
  height: number,
  columns: number,
  rows: number,
): Float32Array {
  const sums = new Float32Array(columns * rows)
  const counts = new Float32Array(columns * rows)
  const columnOf = Int32Array.from({ length: width }, (_, x) => Math.floor((x * columns) / width))
  for (let y = 0; y < height; y++) {
    const row = Math.floor((y * rows) / height) * columns
    for (let x = 0, at = origin + y * stride; x < width; x++, at++) {
      const cell = row + (columnOf[x] as number)
      sums[cell] = (sums[cell] as number) + (plane[at] as number)
      counts[cell] = (counts[cell] as number) + 1
    }
  }
  return sums.map((sum, cell) => sum / (counts[cell] as number))
}

/** For each sample of a line: the cell whose centre precedes it, and the weight of the next one. */
function interpolation(length: number, cells: number): { cell: Int32Array; share: Float32Array } {
  const at = Float32Array.from({ length }, (_, i) => Math.max(0, ((i + 0.5) * cells) / length - 0.5))
  return { cell: Int32Array.from(at), share: at.map((value) => value - Math.floor(value)) }
}

/** Weight of the blur for each sample of a line: 1 except in the margins at its ends. */
function fade(length: number, margin: number): Float32Array {
  return Float32Array.from({ length }, (_, i) => Math.min(1, (i + 1) / (margin + 1), (length - i) / (margin + 1)))
}
