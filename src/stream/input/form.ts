import type { SourceForm } from '../../codec/source-form.ts'
import type { PixelFormat } from '../../core/media/frame.ts'
import type { VideoTrack } from '../../core/media/packet.ts'
import { fitWithin, type Size } from '../size.ts'

/** Format and size of decoded frames; an undefined size is the source's own. */
export type FrameForm = { format: PixelFormat; size?: Size | undefined }

/** The form that a pipeline wants; by default `yuv420p`, the decoder's own format. */
export function formOf(wanted: { format?: PixelFormat; width?: number; height?: number }): FrameForm {
  const { format = 'yuv420p', width, height } = wanted
  return { format, ...(width && height && { size: { width, height } }) }
}

export function sameForm(a: FrameForm, b: FrameForm): boolean {
  return a.format === b.format && a.size?.width === b.size?.width && a.size?.height === b.size?.height
}

/**
 * The even size that shows a source's frames in their proportions: fields are doubled, and non-square pixels are
 * widened or heightened, so that no detail is lost. Undefined if the source already has that size, or it is unknown.
 */
export function shownSize(source: SourceForm | undefined, { width, height }: Partial<Size>): Size | undefined {
  const { pixelAspect, fields = false } = source ?? {}
  if (!width || !height || !(pixelAspect || fields)) return undefined
  const ratio = pixelAspect ? pixelAspect.width / pixelAspect.height : 1
  const even = (n: number) => 2 * Math.round(n / 2)
  return { width: even(width * Math.max(1, ratio)), height: even((height * (fields ? 2 : 1)) / Math.min(1, ratio)) }
}

/** Size of decoded frames in pixels; undefined if it is the source's. */
export function decodedSize(
  { size }: FrameForm,
  track: Partial<Size>,
  maxPixels: number,
  source?: SourceForm | undefined,
): Size | undefined {
  if (size) return size
  const shown = shownSize(source, track)
  const { width, height } = shown ?? track
  return (width && height ? fitWithin({ width, height }, maxPixels) : undefined) ?? shown
}

export function sameVideo(a: VideoTrack, b: VideoTrack): boolean {
  return a.codec === b.codec && a.width === b.width && a.height === b.height
}
