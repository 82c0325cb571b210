/** How to interpret the samples of a `yuv420p` frame: code points of ITU-T H.273, as in bitstreams. */
export type Colour = {
  /** ColourPrimaries; 2 is unspecified. */
  primaries: number
  /** TransferCharacteristics; 2 is unspecified. */
  transfer: number
  /** MatrixCoefficients: 0 is RGB, 1 is BT.709, 5 and 6 are BT.601, 9 is BT.2020, 2 is unspecified. */
  matrix: number
  fullRange: boolean
}

/** The default for cameras and browsers that specify nothing, and for conversions from RGB. */
export const DEFAULT_COLOUR: Colour = { primaries: 1, transfer: 1, matrix: 6, fullRange: false }

export function sameColour(a: Colour, b: Colour): boolean {
  return (
    a.primaries === b.primaries && a.transfer === b.transfer && a.matrix === b.matrix && a.fullRange === b.fullRange
  )
}

/** Frames in flight never span more changes than this. */
const MAX_STEPS = 16

/** The colours of a stream over time: frames in flight keep those that they were decoded with. */
export class ColourTimeline {
  #steps = [{ from: Number.NEGATIVE_INFINITY, colour: DEFAULT_COLOUR }]

  /** From this time on, in 90 kHz ticks; entries for later times are dropped. */
  change(from: number, colour: Colour): void {
    const kept = this.#steps.filter((step) => step.from < from)
    this.#steps = [...kept.slice(-MAX_STEPS), { from, colour }]
  }

  /** The colours of the frame with this time. */
  at(pts: number): Colour {
    return (this.#steps.findLast(({ from }) => from <= pts) ?? this.#steps[0])?.colour ?? DEFAULT_COLOUR
  }
}
