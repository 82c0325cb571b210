import { AppError } from '../core/errors.ts'

/** Reads bits from the left, as bitstream syntax tables are written (ITU-T H.264 §7.2, §9.1). */
export class BitReader {
  readonly #data: Uint8Array
  #position = 0

  constructor(data: Uint8Array) {
    this.#data = data
  }

  /** Bits not read yet. */
  get left(): number {
    return this.#data.length * 8 - this.#position
  }

  /** An unsigned number of 0 to 32 bits. Fails with `unsupported-media` past the end. */
  bits(count: number): number {
    if (count > this.left) {
      throw new AppError('unsupported-media', `bitstream header is cut: needs ${count} more bits, has ${this.left}`)
    }
    let value = 0
    for (let i = 0; i < count; i++) {
      const byte = this.#data[this.#position >> 3] ?? 0
      value = value * 2 + ((byte >> (7 - (this.#position & 7))) & 1)
      this.#position++
    }
    return value
  }

  flag(): boolean {
    return this.bits(1) === 1
  }

  skip(count: number): void {
    if (count > this.left) this.bits(count)
    this.#position += count
  }

  /** ue(v): unsigned Exp-Golomb code (ITU-T H.264 §9.1), at most 2^32 - 2. */
  ue(): number {
    let zeros = 0
    while (!this.flag()) {
      if (++zeros > 31)
        throw new AppError('unsupported-media', 'bitstream header holds an Exp-Golomb code over 32 bits')
    }
    return 2 ** zeros - 1 + this.bits(zeros)
  }

  /** se(v): signed Exp-Golomb code (ITU-T H.264 §9.1.1). */
  se(): number {
    const code = this.ue()
    return code % 2 === 1 ? (code + 1) / 2 : -code / 2
  }
}

/** What `read` reads, or `fallback` where the bits end or are out of range. */
export function readOr<T, F>(fallback: F, read: () => T): T | F {
  try {
    return read()
  } catch (thrown) {
    if (thrown instanceof AppError) return fallback
    throw thrown
  }
}
