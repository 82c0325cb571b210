import { planes, type VideoFrame } from 'millrace/pipeline'

/** Replaces blocks by their average colour; `size` is in pixels, made even so that luma and chroma blocks coincide. */
export function pixelate(frame: VideoFrame, size: number): Uint8Array {
  const { width, height } = frame
  const data = new Uint8Array(frame.data)
  const { y, u, v } = planes({ ...frame, data })
  const half = Math.max(1, Math.round(size / 2))
  averageBlocks(y, width, height, 2 * half)
  for (const chroma of [u, v]) averageBlocks(chroma, (width + 1) >> 1, (height + 1) >> 1, half)
  return data
}

function averageBlocks(plane: Uint8Array, width: number, height: number, size: number): void {
  const sums = new Uint32Array(Math.ceil(width / size))
  for (let top = 0; top < height; top += size) {
    const bottom = Math.min(height, top + size)
    sums.fill(0)
    for (let row = top; row < bottom; row++) {
      for (let block = 0, at = row * width, end = at + width; at < end; block++) {
        const stop = Math.min(end, at + size)
        let sum = 0
        while (at < stop) sum += plane[at++]!
        sums[block] = sums[block]! + sum
      }
    }
    const first = top * width
    for (let block = 0; block < sums.length; block++) {
      const left = block * size
      const right = Math.min(width, left + size)
      const average = sums[block]! / ((right - left) * (bottom - top))
      plane.fill(Math.round(average), first + left, first + right)
    }
    for (let row = top + 1; row < bottom; row++) plane.copyWithin(row * width, first, first + width)
  }
}
