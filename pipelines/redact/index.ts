import { definePipeline, type VideoFrame } from 'millrace/pipeline'
import { blurBoxes } from './blur.ts'
import { type Box, boxHeight, boxWidth, joined } from './boxes.ts'
import { copyOf, followed } from './changes.ts'
import { HeldBoxes } from './held-boxes.ts'
import { RedactParams } from './params.ts'
import { TextDetector } from './text-detector.ts'

export { RedactParams }

/** A frame full of text has a few hundred. */
const MOST_TOLD = 500

/** Result of the model's last run. */
type Looked = {
  shape: string
  params: RedactParams
  pts: number
  boxes: readonly Box[]
  reference: VideoFrame
  /** Number of frames since then that used it. */
  followed: number
}

/** False if the model must look again: it is due, the stream or its clock restarted, or the params changed. */
function isFresh(looked: Looked, shape: string, params: RedactParams, { pts }: VideoFrame): boolean {
  const { threshold, padding, detect_size, detect_every } = params
  if (looked.followed + 1 >= detect_every || looked.shape !== shape || pts < looked.pts) return false
  const before = looked.params
  return before.threshold === threshold && before.padding === padding && before.detect_size === detect_size
}

/** In pixels of the frame, as a drawing client needs them. */
const told = (box: Box) => ({ x: box.left, y: box.top, width: boxWidth(box), height: boxHeight(box), label: 'text' })

/**
 * Finds and blurs text. The model processes a frame unless nothing changed since its last one except next to the text
 * found there, which is then followed. If the model is slower than the stream, frames are dropped before it, and none
 * passes unseen.
 */
export const Redact = definePipeline({
  description: 'Finds text in the frame and blurs it',
  params: RedactParams,
  input: { format: 'yuv420p' },
  async load({ execution_provider, detect_size }, context) {
    const detector = await TextDetector.open(execution_provider, context)
    const held = new HeldBoxes()
    let shape = ''
    let looked: Looked | undefined
    const warmUp: VideoFrame = { data: new Uint8Array(64 * 64 * 1.5), format: 'yuv420p', width: 64, height: 64, pts: 0 }
    await detector.find(warmUp, { size: detect_size, threshold: 1, padding: 0 })
    return {
      async process(frame, params, requestId) {
        const now = `${requestId} ${frame.width}x${frame.height}`
        if (now !== shape) held.clear()
        shape = now
        const known = looked && isFresh(looked, now, params, frame) ? looked : undefined
        let boxes = known && followed(known.boxes, known.reference, frame)
        if (known && boxes) known.followed++
        else {
          const { threshold, padding, detect_size: size, hold_ms } = params
          boxes = held.add(await detector.find(frame, { size, threshold, padding }), frame.pts, hold_ms)
          const reference = copyOf(frame, looked?.reference)
          looked = { shape, params, pts: frame.pts, boxes, reference, followed: 0 }
        }
        boxes = joined(boxes)
        const { width, height } = frame
        const data = { width, height, boxes: boxes.slice(0, MOST_TOLD).map(told) }
        return { frame: blurBoxes(frame, boxes, params.blur), data }
      },
      stop: () => detector.close(),
    }
  },
  reloadWhen: (now, next) => now.execution_provider !== next.execution_provider,
})
