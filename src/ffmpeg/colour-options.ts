import type { Colour } from '../core/media/colour.ts'

/** ffmpeg's names of the matrices that it can convert. */
const MATRICES: Record<number, string> = {
  1: 'bt709',
  4: 'fcc',
  5: 'bt601',
  6: 'bt601',
  7: 'smpte240m',
  9: 'bt2020',
  10: 'bt2020',
}

// Matrix and range are always stated, because ffmpeg's defaults differ between versions.

/** Options of ffmpeg's `scale` filter for input frames in these colours. */
export function fromColours({ matrix, fullRange }: Colour): string[] {
  const name = MATRICES[matrix]
  return [...(name === undefined ? [] : [`in_color_matrix=${name}`]), `in_range=${fullRange ? 'pc' : 'tv'}`]
}

/** Options of ffmpeg's `scale` filter for output frames in these colours. */
export function toColours({ matrix, fullRange }: Colour): string[] {
  return [`out_color_matrix=${MATRICES[matrix] ?? 'bt601'}`, `out_range=${fullRange ? 'pc' : 'tv'}`]
}
