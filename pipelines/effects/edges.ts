import { planes, type VideoFrame } from 'millrace/pipeline'

/** The largest sum of a horizontal and a vertical step. */
const STEEPEST = 2 * 255

/** Bright lines where the brightness changes, on black. */
export function edges(frame: VideoFrame, strength: number): Uint8Array {
  const { width, height } = frame
  const data = new Uint8Array(frame.data)
  const from = planes(frame).y
  const { y: to, u, v } = planes({ ...frame, data })
  const share = Math.round(strength * 256)
  const rest = 256 - share
  const lines = Int32Array.from({ length: STEEPEST + 1 }, (_, steep) => Math.min(235, 16 + 2 * steep) * share)
  for (let row = 0; row < height; row++) {
    const here = row * width
    const above = row > 0 ? -width : 0
    const below = row < height - 1 ? width : 0
    const last = here + width - 1
    let left = from[here]!
    let middle = left
    for (let at = here; at <= last; at++) {
      const right = at < last ? from[at + 1]! : middle
      const steep = Math.abs(right - left) + Math.abs(from[at + below]! - from[at + above]!)
      to[at] = (lines[steep]! + middle * rest) >> 8
      left = middle
      middle = right
    }
  }
  for (const chroma of [u, v]) {
    for (let at = 0; at < chroma.length; at++) chroma[at] = (128 * share + chroma[at]! * rest) >> 8
  }
  return data
}
