import type { PixelFormat, VideoFrame } from '../../../core/media/frame.ts'
import type { Description, Values } from '../../protocol.ts'
import { slotProblem } from '../../ring/frame-ring.ts'

/** The form of the frames that a pipeline gets; undefined fields follow the source. Sides in pixels. */
export type WantedInput = { format?: PixelFormat; width?: number; height?: number }

/** Params override what the pipeline declares. */
export function wantedInput(declared: Description['input'], params: Values): WantedInput {
  const [width, height] = [params.width ?? declared.width, params.height ?? declared.height]
  return {
    ...(declared.format && { format: declared.format }),
    ...(typeof width === 'number' && typeof height === 'number' && { width, height }),
  }
}

export function isOtherSize(wanted: WantedInput, { width, height }: VideoFrame): boolean {
  return (wanted.width ?? width) !== width || (wanted.height ?? height) !== height
}

/** Why the pipeline cannot take this frame; undefined if it can. */
export function inputProblem(pipeline: string, wanted: WantedInput, frame: VideoFrame): string | undefined {
  for (const key of ['format', 'width', 'height'] as const) {
    if (wanted[key] !== undefined && wanted[key] !== frame[key])
      return `${pipeline} takes frames with ${key} ${wanted[key]}, not ${frame[key]}`
  }
  return slotProblem(frame)
}
