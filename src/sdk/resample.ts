/** One output sample is the sum of `taps` input samples from `start[i]` on, weighted by `weights[i * taps + k]`. */
type Axis = { start: Int32Array; weights: Int32Array; taps: number }

/** A plane's layout: samples are `step` apart from `offset` on, rows `stride` apart. */
export type Plane = { data: Uint8Array; offset: number; step: number; stride: number }

/** Weights are integers with this sum, so that the product of two weights and a sample fits 31 bits. */
const UNIT_BITS = 11
const UNIT = 2 ** UNIT_BITS
const SHIFT = 2 * UNIT_BITS
const HALF = 2 ** (SHIFT - 1)

/**
 * Scales planes of 8-bit samples from one size to another: area averaging when shrinking, linear interpolation when
 * growing. The weights are computed once for a pair of sizes.
 */
export class Resampler {
  readonly #rows: Axis
  readonly #columns: Axis
  readonly #outWidth: number
  readonly #outHeight: number
  readonly #inWidth: number
  #row: Int32Array = new Int32Array(0)

  constructor(inWidth: number, inHeight: number, outWidth: number, outHeight: number) {
    this.#inWidth = inWidth
    this.#outWidth = outWidth
    this.#outHeight = outHeight
    this.#rows = axis(inHeight, outHeight)
    this.#columns = axis(inWidth, outWidth)
  }

  /** Scales `from` into one plane, or interleaved planes of `from` into several at once. */
  scale(from: Plane, into: readonly Plane[]): void {
    const length = this.#inWidth * from.step
    if (this.#row.length < length) this.#row = new Int32Array(length)
    for (let y = 0; y < this.#outHeight; y++) {
      gatherRow(this.#row, length, from, this.#rows, y)
      for (let i = 0; i < into.length; i++)
        writeRow(this.#row, from.step, i, this.#columns, this.#outWidth, into[i] as Plane, y)
    }
  }
}

/** The weighted sum of the input rows that an output row covers. */
function gatherRow(row: Int32Array, length: number, from: Plane, { start, weights, taps }: Axis, y: number): void {
  const { data, offset, stride } = from
  const first = offset + (start[y] as number) * stride
  const at = y * taps
  const a = weights[at] as number
  if (taps === 1) {
    for (let i = 0; i < length; i++) row[i] = Math.imul(a, data[first + i] as number)
    return
  }
  const b = weights[at + 1] as number
  const second = first + stride
  if (taps === 2) {
    for (let i = 0; i < length; i++)
      row[i] = Math.imul(a, data[first + i] as number) + Math.imul(b, data[second + i] as number)
    return
  }
  const c = weights[at + 2] as number
  const third = second + stride
  for (let i = 0; i < length; i++)
    row[i] =
      Math.imul(a, data[first + i] as number) +
      Math.imul(b, data[second + i] as number) +
      Math.imul(c, data[third + i] as number)
  for (let tap = 3; tap < taps; tap++) {
    const weight = weights[at + tap] as number
    if (weight === 0) continue
    const next = first + tap * stride
    for (let i = 0; i < length; i++) row[i] = (row[i] as number) + Math.imul(weight, data[next + i] as number)
  }
}

/** Writes one row of one plane: each sample is the weighted sum of the samples of `row` that it covers. */
function writeRow(
  row: Int32Array,
  inStep: number,
  channel: number,
  columns: Axis,
  width: number,
  into: Plane,
  y: number,
): void {
  const { start, weights, taps } = columns
  const { data, step } = into
  let out = into.offset + y * into.stride
  if (taps <= 2) {
    const last = taps - 1
    for (let x = 0; x < width; x++, out += step) {
      const index = Math.imul(start[x] as number, inStep) + channel
      const tap = Math.imul(x, taps)
      const a = Math.imul(weights[tap] as number, row[index] as number)
      const b = last ? Math.imul(weights[tap + 1] as number, row[index + inStep] as number) : 0
      data[out] = (HALF + a + b) >> SHIFT
    }
    return
  }
  for (let x = 0, tap = 0; x < width; x++, out += step) {
    let sum = HALF
    let index = Math.imul(start[x] as number, inStep) + channel
    for (const end = tap + taps; tap < end; tap++, index += inStep)
      sum += Math.imul(weights[tap] as number, row[index] as number)
    data[out] = sum >> SHIFT
  }
}

function axis(input: number, output: number): Axis {
  const scale = input / output
  const taps = Math.min(input, Number.isInteger(scale) ? scale : scale > 1 ? Math.ceil(scale) + 1 : 2)
  const start = new Int32Array(output)
  const weights = new Int32Array(output * taps)
  for (let i = 0; i < output; i++) {
    const centre = (i + 0.5) * scale - 0.5
    const first = Math.max(0, Math.min(input - taps, Math.floor(scale > 1 ? i * scale : centre)))
    start[i] = first
    let left = UNIT
    let heaviest = i * taps
    for (let k = 0; k < taps; k++) {
      const part =
        scale > 1
          ? (Math.min(first + k + 1, (i + 1) * scale) - Math.max(first + k, i * scale)) / scale
          : 1 - Math.abs(Math.max(first, Math.min(first + taps - 1, centre)) - (first + k))
      const weight = Math.max(0, Math.round(part * UNIT))
      weights[i * taps + k] = weight
      left -= weight
      if (weight > (weights[heaviest] as number)) heaviest = i * taps + k
    }
    // Rounding must not make the frame darker or brighter.
    weights[heaviest] = (weights[heaviest] as number) + left
  }
  return { start, weights, taps }
}
