// NUT Open Container Format, section "data types".
// Bound: a number is read from at most ten bytes, and bytes are views.
import { malformed } from './format.ts'

/** Thrown if the bytes end within a value, with the number of bytes known to be missing. */
export class ShortInput extends Error {
  readonly missing: number

  constructor(missing = 1) {
    super()
    this.missing = missing
  }
}

/** Reads NUT's data types from `position` up to `end`. */
export class NutCursor {
  readonly bytes: Uint8Array
  readonly end: number
  position: number

  constructor(bytes: Uint8Array, position = 0, end = bytes.length) {
    this.bytes = bytes
    this.position = position
    this.end = end
  }

  get left(): number {
    return this.end - this.position
  }

  byte(): number {
    if (this.position >= this.end) throw new ShortInput()
    return this.bytes[this.position++]!
  }

  take(length: number): Uint8Array {
    if (length > this.left) throw new ShortInput(length - this.left)
    this.position += length
    return this.bytes.subarray(this.position - length, this.position)
  }

  u32(): number {
    const bytes = this.take(4)
    return ((bytes[0]! << 24) | (bytes[1]! << 16) | (bytes[2]! << 8) | bytes[3]!) >>> 0
  }

  u64(): bigint {
    return (BigInt(this.u32()) << 32n) | BigInt(this.u32())
  }

  /** `v`: seven bits per byte, most significant first. Exact up to 2^53; larger only if `max` allows it. */
  v(what: string, max = Number.MAX_SAFE_INTEGER): number {
    let value = 0
    for (let i = 0; i < 10; i++) {
      const byte = this.byte()
      value = value * 128 + (byte & 0x7f)
      if (byte < 0x80) {
        if (value > max) throw malformed(`${what} is ${value}, at most ${max} is accepted`)
        return value
      }
    }
    throw malformed(`${what} is longer than 10 bytes`)
  }

  /** `s`: signed, the sign in the lowest bit. */
  s(what: string, max = Number.MAX_SAFE_INTEGER): number {
    const value = this.v(what, max) + 1
    return value % 2 === 1 ? -(value - 1) / 2 : value / 2
  }

  /** `vb`: length-prefixed bytes; a view. */
  vb(what: string, maxLength: number): Uint8Array {
    return this.take(this.v(`length of ${what}`, maxLength))
  }
}
