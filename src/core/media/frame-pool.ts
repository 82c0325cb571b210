/** Where the memory of frames comes from, and goes back to by its last holder. */
export type FrameMemory = {
  /** Memory of that length with anything in it. */
  take(bytes: number): Uint8Array
  give(data: Uint8Array): void
}

/** As many frames of a stream may be on their way at once, in a burst. */
const MAX_FREE = 12

const lenders = new WeakMap<Uint8Array, () => void>()

/** Whoever gives this memory back, to whatever pool, gives it back to its lender. */
export function lendMemory(data: Uint8Array, takeBack: () => void): void {
  lenders.set(data, takeBack)
}

/** For who has no pool at hand: memory that nobody has lent is left to the garbage collector. True when it was lent. */
export function giveBack(data: Uint8Array): boolean {
  const takeBack = lenders.get(data)
  if (!takeBack) return false
  lenders.delete(data)
  takeBack()
  return true
}

/**
 * Memory for frames, used again: fresh memory for each would keep the garbage collector busier than everything else.
 * Memory may be given back by its last holder only; memory that is never given back is collected as usual.
 */
export class FramePool implements FrameMemory {
  #free: Uint8Array[] = []

  readonly take = (bytes: number): Uint8Array => {
    const data = this.#free.pop()
    if (data?.length === bytes) return data
    // Frames have changed shape.
    this.#free = []
    return new Uint8Array(Buffer.allocUnsafeSlow(bytes).buffer)
  }

  readonly give = (data: Uint8Array): void => {
    if (giveBack(data)) return
    const isWhole = data.byteOffset === 0 && data.buffer.byteLength === data.length
    if (isWhole && this.#free.length < MAX_FREE && !this.#free.includes(data)) this.#free.push(data)
  }
}
