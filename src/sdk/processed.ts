import type { VideoFrame } from '../core/media/frame.ts'
import type { ParamsOf, ParamsSchema } from './base-params.ts'
import type { OutputQueue } from './output-queue.ts'
import { VideoOutput } from './video-output.ts'

type Frames = VideoFrame | readonly VideoFrame[] | null | undefined

/**
 * The result for one frame: a frame, several in order of `pts`, or none; optionally with data, a JSON value of at most
 * 64 KiB that goes out with the time of the processed frame.
 */
export type Processed =
  | Frames
  | { frame?: Frames; data: unknown; width?: never; height?: never; pts?: never; format?: never }

/** A frame of one of the streams that share a model, with the params in effect for that stream. */
export type BatchItem<P extends ParamsSchema = ParamsSchema> = {
  frame: VideoFrame
  params: ParamsOf<P>
  /** The stream's request id. */
  requestId: string
}

/** Queues the result for the frame at `pts`. Throws if the result is invalid; then nothing is queued. */
export function putProcessed(processed: Processed, pts: number, requestId: string, outputs: OutputQueue): void {
  if (!processed) return
  const { frame: made, data } = isWithData(processed) ? processed : { frame: processed, data: undefined }
  const frames: readonly VideoFrame[] = Array.isArray(made) ? made : made ? [made as VideoFrame] : []
  // All frames are checked before the first is queued, so that a result is never queued in part.
  const all = frames.map((one) => new VideoOutput(one, requestId))
  if (data !== undefined) outputs.data(data, pts)
  for (const output of all) outputs.put(output)
}

/** A frame has its pixels under `data` as well, but with a format beside them. */
function isWithData(processed: NonNullable<Processed>): processed is { frame?: Frames; data: unknown } {
  return 'data' in processed && !('format' in processed)
}
