import { planes, type VideoFrame } from 'millrace/pipeline'
import { type Box, grown } from './boxes.ts'

/** Side in pixels of the squares in which change is detected. */
const BLOCK = 16
/** Every second pixel of every second row is compared: the strokes of readable letters are that wide. */
const STEP = 2
/**
 * Difference in brightness or colour that counts as a change; less is noise of a camera or codec, or unreadable text.
 */
const DIFFERENT = 16
/** Number of different pixels that make a changed square, out of the 64 compared in each plane. */
const ENOUGH = 3
/** How far from its box a text line may have moved; a change farther away is something else. */
const REACH = 4 * BLOCK

/** A copy of a `yuv420p` frame that the model has processed; `room` is an old copy whose memory is reused. */
export function copyOf(frame: VideoFrame, room?: VideoFrame): VideoFrame {
  const data = room?.data.length === frame.data.length ? room.data : new Uint8Array(frame.data.length)
  data.set(frame.data)
  return { ...frame, data }
}

/**
 * The boxes of `reference`, enlarged where something has changed next to them, as moving text would. Undefined if
 * something changed elsewhere, or farther away than text moves in a few frames: then the model must look again.
 */
export function followed(boxes: readonly Box[], reference: VideoFrame, frame: VideoFrame): Box[] | undefined {
  if (reference.width !== frame.width || reference.height !== frame.height) return
  const blocks = changedBlocks(reference, frame)
  const result: Box[] = []
  for (const box of boxes) {
    const larger = withChanges(box, blocks)
    if (!within(larger, grown(box, REACH, frame))) return
    result.push(larger)
  }
  const isKnown = (at: number) => result.some((box) => within(blockBox(at, blocks), box))
  return blocks.changed.every((changed, at) => !changed || isKnown(at)) ? result : undefined
}

/** The box, and all changed squares connected with it. */
function withChanges(box: Box, blocks: Blocks): Box {
  const larger = { ...box }
  const stack = blocksWithin(grown(box, BLOCK, blocks), blocks)
  for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
    const block = blockBox(at, blocks)
    if (!blocks.changed[at] || within(block, larger)) continue
    larger.left = Math.min(larger.left, block.left)
    larger.top = Math.min(larger.top, block.top)
    larger.right = Math.max(larger.right, block.right)
    larger.bottom = Math.max(larger.bottom, block.bottom)
    stack.push(...blocksWithin(grown(block, BLOCK, blocks), blocks))
  }
  return larger
}

/** `changed` is 1 for each changed square. */
type Blocks = { width: number; height: number; columns: number; changed: Uint8Array }

function changedBlocks(reference: VideoFrame, frame: VideoFrame): Blocks {
  const { width, height } = frame
  const columns = Math.ceil(width / BLOCK)
  const counts = new Uint8Array(columns * Math.ceil(height / BLOCK))
  const [now, before] = [planes(frame), planes(reference)]
  countChanges(counts, columns, now.y, before.y, width, BLOCK, STEP)
  // Letters may differ from their background in colour alone; these planes are subsampled by two.
  countChanges(counts, columns, now.u, before.u, (width + 1) >> 1, BLOCK / 2, STEP / 2)
  countChanges(counts, columns, now.v, before.v, (width + 1) >> 1, BLOCK / 2, STEP / 2)
  return { width, height, columns, changed: counts.map((count) => (count >= ENOUGH ? 1 : 0)) }
}

/** Adds to the count of each square, whose side is `block` in this plane. */
function countChanges(
  counts: Uint8Array,
  columns: number,
  now: Uint8Array,
  before: Uint8Array,
  width: number,
  block: number,
  step: number,
): void {
  const height = now.length / width
  for (let y = 0; y < height; y += step) {
    const row = Math.floor(y / block) * columns
    for (let x = 0, at = y * width; x < width; x += step, at += step) {
      const difference = (now[at] as number) - (before[at] as number)
      if (difference > DIFFERENT || difference < -DIFFERENT) counts[row + Math.floor(x / block)]!++
    }
  }
}

/** Indices of the squares that a box of the frame touches. */
function blocksWithin({ left, top, right, bottom }: Box, { columns }: Blocks): number[] {
  const numbers: number[] = []
  for (let y = Math.floor(top / BLOCK); y * BLOCK < bottom; y++) {
    for (let x = Math.floor(left / BLOCK); x * BLOCK < right; x++) numbers.push(y * columns + x)
  }
  return numbers
}

function blockBox(at: number, { width, height, columns }: Blocks): Box {
  const [left, top] = [(at % columns) * BLOCK, Math.floor(at / columns) * BLOCK]
  return { left, top, right: Math.min(width, left + BLOCK), bottom: Math.min(height, top + BLOCK) }
}

const within = (inner: Box, outer: Box): boolean =>
  inner.left >= outer.left && inner.top >= outer.top && inner.right <= outer.right && inner.bottom <= outer.bottom
