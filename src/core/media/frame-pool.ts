/** Allocator of frame memory, to which the last holder returns it. */
export type FrameMemory = {
  /** Memory of that length, not zeroed. */
  take(bytes: number): Uint8Array
  give(data: Uint8Array): void
}

/** Limit of frames of a stream in flight at once, in a burst. */
const MAX_FREE = 12

const lenders = new WeakMap<Uint8Array, () => void>()

/** Registers memory whose return goes to its lender, whatever pool it is returned to. */
export function lendMemory(data: Uint8Array, takeBack: () => void): void {
  lenders.set(data, takeBack)
}

/** Returns memory without a pool: memory that was not lent is left to the garbage collector. True if it was lent. */
export function giveBack(data: Uint8Array): boolean {
  const takeBack = lenders.get(data)
  if (!takeBack) return false
  lenders.delete(data)
  takeBack()
  return true
}

/**
 * Reuses frame memory: allocating each frame would cost more garbage collection than everything else. Only its last
 * holder may return memory; memory that is never returned is collected as usual.
 */
export class FramePool implements FrameMemory {
  #free: Uint8Array[] = []

  readonly take = (bytes: number): Uint8Array => {
    const data = this.#free.pop()
    if (data?.length === bytes) return data
    // Frames have changed size.
    this.#free = []
    return new Uint8Array(Buffer.allocUnsafeSlow(bytes).buffer)
  }

  readonly give = (data: Uint8Array): void => {
    if (giveBack(data)) return
    const isWhole = data.byteOffset === 0 && data.buffer.byteLength === data.length
    if (isWhole && this.#free.length < MAX_FREE && !this.#free.includes(data)) this.#free.push(data)
  }
}
