import { frameBytes, PIXEL_FORMATS, type VideoFrame } from '../core/media/frame.ts'

/** An output frame, with the request it belongs to. */
export class VideoOutput {
  readonly frame: VideoFrame
  /** The request id of the input frame; outputs of any other than the current request are discarded. */
  readonly requestId: string

  /** @throws TypeError that says what is wrong if the frame's fields do not fit together. */
  constructor(frame: VideoFrame, requestId: string) {
    const problem = frameProblem(frame)
    if (problem) throw new TypeError(`output frame: ${problem}`)
    this.frame = frame
    this.requestId = requestId
  }
}

/** Why the frame is not valid output; undefined if it is valid. */
export function frameProblem(frame: VideoFrame): string | undefined {
  if (!(frame?.data instanceof Uint8Array)) return 'data must be a Uint8Array'
  if (!PIXEL_FORMATS.includes(frame.format))
    return `format must be one of ${PIXEL_FORMATS.join(', ')}, not ${String(frame.format)}`
  for (const side of ['width', 'height'] as const) {
    const value = frame[side]
    if (!Number.isInteger(value) || value < 1 || value > 8192)
      return `${side} must be a whole number from 1 to 8192, not ${String(value)}`
  }
  if (!Number.isSafeInteger(frame.pts)) return `pts must be a whole number of 90 kHz ticks, not ${String(frame.pts)}`
  const expected = frameBytes(frame.format, frame.width, frame.height)
  if (frame.data.length !== expected) {
    const size = `${frame.width}x${frame.height} ${frame.format}`
    return `data has ${frame.data.length} bytes where ${size} takes ${expected}`
  }
  return undefined
}
