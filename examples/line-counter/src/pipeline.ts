import { definePipeline, planes, type VideoFrame } from 'millrace/pipeline'
import { Drawing, WHITE, YELLOW } from './drawing.ts'
import { CELL, Motion } from './motion.ts'
import { LineCounterParams } from './params.ts'
import { type Line, type Track, Tracks } from './tracks.ts'

const TICKS_PER_SECOND = 90_000

export const LineCounter = definePipeline({
  params: LineCounterParams,
  input: { format: 'yuv420p' },
  description: 'Counts what moves across a line',
  load: () => {
    /** State of one stream at one size. */
    let known: { key: string; motion: Motion; tracks: Tracks } | undefined
    return {
      process(frame, params, requestId) {
        const { width, height, pts } = frame
        const key = `${requestId} ${width}x${height}`
        if (known?.key !== key) known = { key, motion: new Motion(width, height), tracks: new Tracks() }
        const { motion, tracks } = known
        const minCells = Math.max(1, (params.min_size * width * height) / CELL ** 2)
        const seconds = pts / TICKS_PER_SECOND
        const moving = motion.find(planes(frame).y, width, height, seconds, params.sensitivity, minCells)
        const seen = tracks.follow(moving, lineOf(params, frame), seconds)
        const boxes = seen.map(({ id, box }) => ({ ...box, label: String(id) }))
        return {
          frame: params.draw ? drawn(frame, params, seen, tracks) : frame,
          data: { boxes, ...tracks.counts },
        }
      },
      update() {
        known?.tracks.forgetSides()
      },
    }
  },
})

function lineOf({ line, position }: LineCounterParams, { width, height }: VideoFrame): Line {
  return line === 'vertical' ? { axis: 'x', at: position * width } : { axis: 'y', at: position * height }
}

function drawn(frame: VideoFrame, params: LineCounterParams, seen: Track[], { counts }: Tracks): VideoFrame {
  const made = { ...frame, data: Uint8Array.from(frame.data) }
  const { width, height } = frame
  const drawing = new Drawing(made)
  const { axis, at } = lineOf(params, frame)
  drawing.fill(axis === 'x' ? { x: at - 1, y: 0, width: 2, height } : { x: 0, y: at - 1, width, height: 2 }, WHITE)
  for (const { box } of seen) drawing.outline(box, YELLOW)
  const size = Math.max(16, height / 12)
  drawing.number(counts.backward, size / 2, size / 2, size, WHITE)
  const digits = String(counts.forward).length
  drawing.number(counts.forward, width - size / 2 - digits * size * 0.75, size / 2, size, WHITE)
  return made
}
