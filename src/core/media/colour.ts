/** How the samples of a `yuv420p` frame stand for light: code points of ITU-T H.273, as bitstreams carry them. */
export type Colour = {
  /** ColourPrimaries; 2 is unspecified. */
  primaries: number
  /** TransferCharacteristics; 2 is unspecified. */
  transfer: number
  /** MatrixCoefficients: 1 is BT.709, 5 and 6 are BT.601, 2 is unspecified. */
  matrix: number
  fullRange: boolean
}

/** What cameras and browsers mean when they say nothing, and what RGB is converted with here. */
export const DEFAULT_COLOUR: Colour = { primaries: 1, transfer: 1, matrix: 6, fullRange: false }

export function sameColour(a: Colour, b: Colour): boolean {
  return (
    a.primaries === b.primaries && a.transfer === b.transfer && a.matrix === b.matrix && a.fullRange === b.fullRange
  )
}
