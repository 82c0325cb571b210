/** Raw pixel formats, named as in ffmpeg. */
export const PIXEL_FORMATS = ['yuv420p', 'rgb24', 'rgba', 'gray'] as const
export type PixelFormat = (typeof PIXEL_FORMATS)[number]

/** One raw frame. A plain value: its holder may keep it, and nobody writes to it after passing it on. */
export type VideoFrame = {
  /** Pixels, rows packed without padding; `yuv420p` is Y, then U, then V, chroma sizes rounded up. */
  data: Uint8Array
  format: PixelFormat
  /** In pixels. */
  width: number
  /** In pixels. */
  height: number
  /** Presentation time in 90 kHz ticks, unwrapped. */
  pts: number
}

/** Size of one frame in bytes. */
export function frameBytes(format: PixelFormat, width: number, height: number): number {
  switch (format) {
    case 'yuv420p':
      return width * height + 2 * chromaSize(width) * chromaSize(height)
    case 'rgb24':
      return width * height * 3
    case 'rgba':
      return width * height * 4
    case 'gray':
      return width * height
  }
}

/** Width or height of a `yuv420p` chroma plane, from that of the frame. */
export function chromaSize(luma: number): number {
  return (luma + 1) >> 1
}

/** The three planes of a `yuv420p` frame, as views. */
export function planes(frame: VideoFrame): { y: Uint8Array; u: Uint8Array; v: Uint8Array } {
  const luma = frame.width * frame.height
  const chroma = chromaSize(frame.width) * chromaSize(frame.height)
  return {
    y: frame.data.subarray(0, luma),
    u: frame.data.subarray(luma, luma + chroma),
    v: frame.data.subarray(luma + chroma, luma + 2 * chroma),
  }
}

/** Whether two frames have the same size and format, and so can share an encoder. */
export function sameShape(a: Omit<VideoFrame, 'data' | 'pts'>, b: Omit<VideoFrame, 'data' | 'pts'>): boolean {
  return a.format === b.format && a.width === b.width && a.height === b.height
}
