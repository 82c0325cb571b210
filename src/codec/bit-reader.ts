// Bound: each bit is read once, and reading ends where the bits do; one number comes out of at most 63 bits.
import { AppError } from '../core/errors.ts'

/** Reads bits from the most significant one, as in bitstream syntax tables (ITU-T H.264 §7.2, §9.1). */
export class BitReader {
  readonly #data: Uint8Array
  #position = 0

  constructor(data: Uint8Array) {
    this.#data = data
  }

  /** Number of unread bits. */
  get left(): number {
    return this.#data.length * 8 - this.#position
  }

  /** An unsigned number of 0 to 32 bits. Throws `unsupported-media` past the end. */
  bits(count: number): number {
    if (count > this.left) {
      throw damaged(`bitstream header is cut: needs ${count} more bits, has ${this.left}`)
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
      if (++zeros > 31) throw damaged('bitstream header holds an Exp-Golomb code over 32 bits')
    }
    return 2 ** zeros - 1 + this.bits(zeros)
  }

  /** se(v): signed Exp-Golomb code (ITU-T H.264 §9.1.1). */
  se(): number {
    const code = this.ue()
    return code % 2 === 1 ? (code + 1) / 2 : -code / 2
  }
}

/**
 * Without a stack trace: collecting it takes ten times as long as reading the header, and thousands of headers may be
 * damaged.
 */
function damaged(message: string): AppError {
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = 0
  try {
    return new AppError('unsupported-media', message)
  } finally {
    Error.stackTraceLimit = stackTraceLimit
  }
}

/** Returns what `read` returns, or `fallback` if the bits end or a value is out of range. */
export function readOr<T, F>(fallback: F, read: () => T): T | F {
  try {
    return read()
  } catch (thrown) {
    if (thrown instanceof AppError) return fallback
    throw thrown
  }
}
