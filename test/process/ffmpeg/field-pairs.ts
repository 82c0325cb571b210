import { Buffer } from 'node:buffer'

/** Field pairs (PAFF), which no encoder of ffmpeg writes: each frame as two coded fields of raw samples (I_PCM). */

const MACROBLOCK = 16
/** mb_type of I_PCM in an I slice (ITU-T H.264 Table 7-11). */
const I_PCM = 25

/** Writes syntax elements (§7.2, §9.1). */
class BitWriter {
  readonly #bytes: number[] = []
  #bit = 0

  u(count: number, value: number): this {
    for (let i = count - 1; i >= 0; i--) {
      if (this.#bit === 0) this.#bytes.push(0)
      this.#bytes[this.#bytes.length - 1]! |= ((value >> i) & 1) << (7 - this.#bit)
      this.#bit = (this.#bit + 1) % 8
    }
    return this
  }

  ue(...values: number[]): this {
    for (const value of values) {
      const bits = Math.floor(Math.log2(value + 1))
      this.u(bits, 0).u(bits + 1, value + 1)
    }
    return this
  }

  align(): this {
    if (this.#bit > 0) this.u(8 - this.#bit, 0)
    return this
  }

  bytes(samples: Iterable<number>): this {
    for (const sample of samples) this.#bytes.push(sample)
    return this
  }

  /** Adds the trailing bits, and emulation prevention bytes (§7.4.1). */
  nal(header: number): Uint8Array {
    this.u(1, 1).align()
    const out = [0, 0, 0, 1, header]
    let zeros = 0
    for (const byte of this.#bytes) {
      if (zeros >= 2 && byte <= 3) {
        out.push(3)
        zeros = 0
      }
      out.push(byte)
      zeros = byte === 0 ? zeros + 1 : 0
    }
    return Uint8Array.from(out)
  }
}

/**
 * The two fields of a `yuv420p` frame, top first, as bytes of access units, the first with parameter sets. Width is a
 * multiple of 16, height of 32.
 */
export function fieldPair(data: Uint8Array, width: number, height: number): [Uint8Array, Uint8Array] {
  const [columns, rows] = [width / MACROBLOCK, height / (2 * MACROBLOCK)]
  const sps = new BitWriter().u(8, 77).u(8, 0).u(8, 40)
  // No sets, order counts of 4 bits, 1 reference; frame_mbs_only_flag and mb_adaptive_frame_field_flag are 0.
  sps
    .ue(0, 0, 0, 0, 1)
    .u(1, 0)
    .ue(columns - 1, rows - 1)
    .u(1, 0)
    .u(1, 0)
    .u(1, 1)
    .u(1, 0)
    .u(1, 0)
  // CAVLC; deblocking_filter_control_present_flag is 1.
  const pps = new BitWriter().ue(0, 0).u(1, 0).u(1, 0).ue(0, 0, 0).u(1, 0).u(2, 0).ue(0, 0, 0).u(1, 1).u(1, 0).u(1, 0)
  const field = (bottom: number) => {
    const slice = new BitWriter().ue(0, 7, 0).u(4, 0).u(1, 1).u(1, bottom)
    // The first field is IDR; the second one belongs to the same frame.
    if (bottom === 0) slice.ue(0).u(4, 0).u(1, 0).u(1, 0)
    else slice.u(4, 1).u(1, 0)
    slice.ue(0, 1) // slice_qp_delta, disable_deblocking_filter_idc
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        slice.ue(I_PCM).align()
        for (const plane of planes(data, width, height)) slice.bytes(samples(plane, bottom, column, row))
      }
    }
    return slice.nal(bottom === 0 ? 0x65 : 0x61)
  }
  return [new Uint8Array(Buffer.concat([sps.nal(0x67), pps.nal(0x68), field(0)])), field(1)]
}

type Plane = { data: Uint8Array; width: number; block: number }

function planes(data: Uint8Array, width: number, height: number): Plane[] {
  const luma = width * height
  const half = { width: width / 2, block: MACROBLOCK / 2 }
  return [
    { data: data.subarray(0, luma), width, block: MACROBLOCK },
    { data: data.subarray(luma, luma * 1.25), ...half },
    { data: data.subarray(luma * 1.25), ...half },
  ]
}

/** One macroblock of a field: every other line. */
function* samples({ data, width, block }: Plane, bottom: number, column: number, row: number): Generator<number> {
  for (let line = 0; line < block; line++) {
    const at = (2 * (row * block + line) + bottom) * width + column * block
    yield* data.subarray(at, at + block)
  }
}
