/**
 * A frame number that a program can read back from the frame: a strip of 18 x 2 blocks over the top sixth. The two
 * blocks at each end are references (white and black, swapped in the second row); the 32 between them have 24 bits of
 * number and 8 of checksum. Large blocks survive encoding and scaling; the references reveal an inverted frame.
 */
const COLUMNS = 18
const WHITE = 235
const BLACK = 16

/** Height of the strip as a share of the frame's. */
export const MARKER_STRIP = 1 / 6
/** Numbers are below this. */
export const MARKER_LIMIT = 2 ** 24

function checksum(number: number): number {
  return Math.imul(number ^ 0x5a5a5a, 0x9e3779b1) >>> 24
}

/** Writes `number` (0 to 2^24 - 1) over the top of a luma plane with packed rows. */
export function drawMarker(y: Uint8Array, width: number, height: number, number: number): void {
  const bits = ((number << 8) | checksum(number)) >>> 0
  const stripRows = Math.floor(height * MARKER_STRIP)
  for (let row = 0; row < 2; row++) {
    const top = Math.round((row * stripRows) / 2)
    const bottom = Math.round(((row + 1) * stripRows) / 2)
    for (let column = 0; column < COLUMNS; column++) {
      const left = Math.round((column * width) / COLUMNS)
      const right = Math.round(((column + 1) * width) / COLUMNS)
      const white =
        column === 0
          ? row === 0
          : column === COLUMNS - 1
            ? row === 1
            : ((bits >>> (31 - (row * 16 + column - 1))) & 1) === 1
      for (let line = top; line < bottom; line++)
        y.fill(white ? WHITE : BLACK, line * width + left, line * width + right)
    }
  }
}

/**
 * Reads the number back; undefined if the frame has none. `pixels` are packed rows from the top, of which only the
 * strip is used; `channels` is 1 for luma, 3 or 4 for RGB(A). Has no outside references, so that its source can run in
 * a browser.
 */
export function readMarkerFrom(
  pixels: ArrayLike<number>,
  width: number,
  height: number,
  channels: number,
): number | undefined {
  const columns = 18
  const stripRows = height / 6
  const brightness = (row: number, column: number): number => {
    const left = Math.floor((column + 0.3) * (width / columns))
    const right = Math.max(left + 1, Math.floor((column + 0.7) * (width / columns)))
    const top = Math.floor((row + 0.3) * (stripRows / 2))
    const bottom = Math.max(top + 1, Math.floor((row + 0.7) * (stripRows / 2)))
    let sum = 0
    for (let line = top; line < bottom; line++) {
      for (let x = left; x < right; x++) {
        const at = (line * width + x) * channels
        sum +=
          channels === 1
            ? (pixels[at] as number)
            : 0.299 * (pixels[at] as number) + 0.587 * (pixels[at + 1] as number) + 0.114 * (pixels[at + 2] as number)
      }
    }
    return sum / ((bottom - top) * (right - left))
  }
  const white = (brightness(0, 0) + brightness(1, columns - 1)) / 2
  const black = (brightness(1, 0) + brightness(0, columns - 1)) / 2
  const contrast = white - black
  if (Math.abs(contrast) < 40) return undefined
  let bits = 0
  for (let index = 0; index < 32; index++) {
    const level = (brightness(index >> 4, (index & 15) + 1) - black) / contrast
    // A block between black and white is a blend of two frames, or no marker at all.
    if (Math.abs(level - 0.5) < 0.15) return undefined
    bits = (bits << 1) | (level > 0.5 ? 1 : 0)
  }
  const number = bits >>> 8
  return Math.imul(number ^ 0x5a5a5a, 0x9e3779b1) >>> 24 === (bits & 255) ? number : undefined
}

/** The number in a luma plane with packed rows; undefined if it has none. */
export function readMarker(y: Uint8Array, width: number, height: number): number | undefined {
  return readMarkerFrom(y, width, height, 1)
}

/** The number in a canvas's `getImageData(…).data`; undefined if it has none. */
export function readMarkerFromRgba(rgba: ArrayLike<number>, width: number, height: number): number | undefined {
  return readMarkerFrom(rgba, width, height, 4)
}

/** Plain JavaScript that declares `readMarkerFromRgba(rgba, width, height)`, for a page. */
export const READ_MARKER_SOURCE = `
const readMarkerFrom = ${readMarkerFrom.toString()}
const readMarkerFromRgba = (rgba, width, height) => readMarkerFrom(rgba, width, height, 4)
`
