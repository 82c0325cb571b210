import { definePipeline, type VideoFrame } from 'millrace/pipeline'
import { blurBoxes } from './blur.ts'
import { joined } from './boxes.ts'
import { HeldBoxes } from './held-boxes.ts'
import { RedactParams } from './params.ts'
import { TextDetector } from './text-detector.ts'

export { RedactParams }

/**
 * Text, found and blurred. A frame goes out only with the boxes that were found in that very frame: when the model is
 * slower than the stream, frames are lost before it, and nothing passes unseen.
 */
export const Redact = definePipeline({
  description: 'Finds text in the frame and blurs it',
  params: RedactParams,
  input: { format: 'yuv420p' },
  async load({ execution_provider, detect_size }, context) {
    const detector = await TextDetector.open(execution_provider, context)
    const held = new HeldBoxes()
    let shape = ''
    const warmUp: VideoFrame = { data: new Uint8Array(64 * 64 * 1.5), format: 'yuv420p', width: 64, height: 64, pts: 0 }
    await detector.find(warmUp, { size: detect_size, threshold: 1, padding: 0 })
    return {
      async process(frame, { threshold, padding, blur, detect_size: size, hold_ms }, requestId) {
        const now = `${requestId} ${frame.width}x${frame.height}`
        if (now !== shape) held.clear()
        shape = now
        const found = await detector.find(frame, { size, threshold, padding })
        return blurBoxes(frame, joined(held.add(found, frame.pts, hold_ms)), blur)
      },
      stop: () => detector.close(),
    }
  },
  reloadWhen: (now, next) => now.execution_provider !== next.execution_provider,
})
