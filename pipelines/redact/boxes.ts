/** A rectangle within a frame in pixels; `right` and `bottom` are exclusive. */
export type Box = { left: number; top: number; right: number; bottom: number }

export const boxWidth = (box: Box): number => box.right - box.left
export const boxHeight = (box: Box): number => box.bottom - box.top

/**
 * Groups of neighbouring points of a probability map that reach `threshold`, as boxes in map points (the first step of
 * "Real-time Scene Text Detection with Differentiable Binarization", Liao et al. 2020, §3.5).
 */
export function findBoxes(map: ArrayLike<number>, width: number, height: number, threshold: number): Box[] {
  const boxes: Box[] = []
  const seen = new Uint8Array(width * height)
  const stack: number[] = []
  for (let start = 0; start < seen.length; start++) {
    if (seen[start] || (map[start] as number) < threshold) continue
    const box = { left: width, top: height, right: 0, bottom: 0 }
    seen[start] = 1
    stack.push(start)
    for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
      const x = at % width
      const y = (at - x) / width
      if (x < box.left) box.left = x
      if (x >= box.right) box.right = x + 1
      if (y < box.top) box.top = y
      if (y >= box.bottom) box.bottom = y + 1
      for (let ny = Math.max(0, y - 1); ny <= Math.min(height - 1, y + 1); ny++) {
        for (let nx = Math.max(0, x - 1); nx <= Math.min(width - 1, x + 1); nx++) {
          const next = ny * width + nx
          if (seen[next] || (map[next] as number) < threshold) continue
          seen[next] = 1
          stack.push(next)
        }
      }
    }
    boxes.push(box)
  }
  return boxes
}

/** The map has text lines shrunk by this offset of their outline, in terms of area over length (same paper, §3.5). */
const UNCLIP_RATIO = 1.5

/**
 * The text line of a box in the map, with a margin of `padding` line heights, in pixels of the frame. Edges are at even
 * pixels, so that they coincide in all planes.
 */
export function textBox(
  box: Box,
  map: { width: number; height: number },
  frame: { width: number; height: number },
  padding: number,
): Box {
  const [scaleX, scaleY] = [frame.width / map.width, frame.height / map.height]
  const [width, height] = [boxWidth(box), boxHeight(box)]
  const offset = (width * height * UNCLIP_RATIO) / (2 * (width + height))
  const around = offset + padding * (Math.min(width, height) + 2 * offset)
  const even = (value: number, limit: number) => Math.min(limit, Math.max(0, value - (value & 1)))
  return {
    left: even(Math.floor((box.left - around) * scaleX), frame.width),
    top: even(Math.floor((box.top - around) * scaleY), frame.height),
    right: even(Math.ceil((box.right + around) * scaleX) + 1, frame.width),
    bottom: even(Math.ceil((box.bottom + around) * scaleY) + 1, frame.height),
  }
}

/** The largest share of a box, from 0 to 1, that one of the others covers. */
export function coveredBy(box: Box, others: readonly Box[]): number {
  let covered = 0
  for (const other of others) {
    const width = Math.min(box.right, other.right) - Math.max(box.left, other.left)
    const height = Math.min(box.bottom, other.bottom) - Math.max(box.top, other.top)
    if (width > 0 && height > 0) covered += width * height
  }
  return Math.min(1, covered / Math.max(1, boxWidth(box) * boxHeight(box)))
}

/** The box with `margin` more on every side, within the frame. */
export function grown(box: Box, margin: number, frame: { width: number; height: number }): Box {
  return {
    left: Math.max(0, box.left - margin),
    top: Math.max(0, box.top - margin),
    right: Math.min(frame.width, box.right + margin),
    bottom: Math.min(frame.height, box.bottom + margin),
  }
}

/** Merges overlapping boxes until none overlap. */
export function joined(boxes: readonly Box[]): Box[] {
  const result: Box[] = []
  for (const one of boxes) {
    let box = one
    for (let i = 0; i < result.length; ) {
      const other = result[i] as Box
      if (!overlap(box, other)) {
        i++
        continue
      }
      result.splice(i, 1)
      box = {
        left: Math.min(box.left, other.left),
        top: Math.min(box.top, other.top),
        right: Math.max(box.right, other.right),
        bottom: Math.max(box.bottom, other.bottom),
      }
      // The larger box may overlap earlier ones.
      i = 0
    }
    result.push(box)
  }
  return result
}

function overlap(a: Box, b: Box): boolean {
  return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom
}
