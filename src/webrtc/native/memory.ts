import koffi from 'koffi'

/**
 * Bytes whose address can be passed to C functions as a number, which costs a fraction of passing a Buffer. They never
 * move and live as long as this object: keep it as long as the address is in use.
 */
export class NativeMemory {
  readonly bytes: Buffer
  readonly address: number

  constructor(bytes: number) {
    // Not from Node's pool, because that would keep neighbouring data alive.
    this.bytes = Buffer.allocUnsafeSlow(bytes)
    this.address = Number(koffi.address(this.bytes))
  }

  /**
   * Address of the byte at `at`, of which `length` will be accessed. Throws a RangeError if that exceeds the memory.
   */
  at(at: number, length: number): number {
    if (!(at >= 0 && length >= 0 && at + length <= this.bytes.length))
      throw new RangeError(`bytes ${at} to ${at + length} are not within ${this.bytes.length} bytes of memory`)
    return this.address + at
  }
}
