import type { SourceForm } from '../../codec/source-form.ts'
import { type Colour, DEFAULT_COLOUR } from '../../core/media/colour.ts'
import type { PixelFormat } from '../../core/media/frame.ts'
import { fromColours, toColours } from '../colour-options.ts'

type Size = { width: number; height: number }

export type FilterOptions = {
  /** Pixel format of the output frames. */
  format: PixelFormat
  /** What the source declares about its frames. */
  source?: SourceForm | undefined
  /** Size of the output frames, even; default: the source's, with an odd last row or column cut off. */
  size?: Size
  /** How frames fit `size`: stretched (default), or scaled to cover it and cropped at the centre. */
  fit?: 'stretch' | 'cover'
  /** The size that shows the source's frames in their proportions, if it is not their own; `cover` keeps these. */
  shown?: Size
}

/** Matrices that frames keep; others become BT.601. */
const KEPT_MATRICES = [1, 4, 5, 6, 7, 9]
const UNSPECIFIED = 2

/** The colours of the output frames. For RGB the matrix is the source's: converting back with it loses least. */
export function decodedColour(source: Colour = DEFAULT_COLOUR): Colour {
  const { primaries, transfer, matrix } = specified(source)
  return {
    primaries,
    transfer,
    matrix: KEPT_MATRICES.includes(matrix) ? matrix : DEFAULT_COLOUR.matrix,
    fullRange: false,
  }
}

/** The decoder's filters, as for ffmpeg's `-vf`. */
export function decoderFilters({ format, source, size, fit, shown }: FilterOptions): string {
  // Anything undeclared is taken from the frames.
  const colours = source ? colourOptions(format, specified(source.colour ?? DEFAULT_COLOUR)) : []
  const filters: string[] = []
  // One frame out for each frame in; progressive frames pass unchanged. It delays by one frame, so it is used only for
  // sources that may be interlaced.
  if (source?.interlaced && !source.fields) filters.push('yadif=mode=send_frame:deint=interlaced')
  if (!size) filters.push('crop=trunc(iw/2)*2:trunc(ih/2)*2:0:0')
  const scaled = size ? scaleTo(size, fit, shown) : []
  if (scaled.length > 0 || colours.length > 0) filters.push(`scale=${[...scaled, ...colours].join(':')}`)
  // ffmpeg's direct conversion from YUV to packed RGB rounds down three times and loses up to 3 levels. That to planar
  // RGB is exact.
  if (format === 'rgb24' || format === 'rgba') filters.push('format=gbrp')
  if (size && fit === 'cover') filters.push(`crop=${size.width}:${size.height}`)
  return filters.join(',')
}

function scaleTo(size: Size, fit: FilterOptions['fit'], shown: Size | undefined): string[] {
  const flags = 'flags=bilinear'
  if (fit !== 'cover') return [`${size.width}:${size.height}`, flags]
  if (!shown) return [`${size.width}:${size.height}`, flags, 'force_original_aspect_ratio=increase']
  // ffmpeg would take the sample aspect ratio into account.
  const factor = Math.max(size.width / shown.width, size.height / shown.height)
  const side = (n: number) => 2 * Math.round((n * factor) / 2)
  return [`${Math.max(size.width, side(shown.width))}:${Math.max(size.height, side(shown.height))}`, flags]
}

function colourOptions(format: PixelFormat, source: Colour): string[] {
  if (format === 'gray') return [...fromColours(source), 'out_range=pc']
  if (format !== 'yuv420p') return fromColours(source)
  const target = decodedColour(source)
  return source.matrix === target.matrix && !source.fullRange ? [] : [...fromColours(source), ...toColours(target)]
}

function specified(colour: Colour): Colour {
  const told = (name: 'primaries' | 'transfer' | 'matrix') =>
    colour[name] === UNSPECIFIED ? DEFAULT_COLOUR[name] : colour[name]
  return {
    primaries: told('primaries'),
    transfer: told('transfer'),
    matrix: told('matrix'),
    fullRange: colour.fullRange,
  }
}
