/** As many pictures of a stream may be on their way at once, in a burst. */
const MAX_FREE = 12

/**
 * Memory for pictures, used again: fresh memory for each would keep the garbage collector busier than everything else.
 * Memory may be given back by its last holder only; memory that is never given back is collected as usual.
 */
export class FramePool {
  #free: Uint8Array[] = []

  /** Memory of that length with anything in it. */
  readonly take = (bytes: number): Uint8Array => {
    const data = this.#free.pop()
    if (data?.length === bytes) return data
    // Pictures have changed shape.
    this.#free = []
    return new Uint8Array(Buffer.allocUnsafeSlow(bytes).buffer)
  }

  readonly give = (data: Uint8Array): void => {
    const isWhole = data.byteOffset === 0 && data.buffer.byteLength === data.length
    if (isWhole && this.#free.length < MAX_FREE && !this.#free.includes(data)) this.#free.push(data)
  }
}
