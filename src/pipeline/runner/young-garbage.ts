/** Bytes of unused frames that may accumulate. */
const MAX_BYTES = 24 * 1024 * 1024

/** V8's collector, available with `--expose-gc`; hidden from author code. */
const collect = globalThis.gc as ((options: { type: 'minor' }) => void) | undefined
globalThis.gc = undefined

/**
 * Collects the memory of frames that author code no longer uses. Nearly all of it is young, and V8's quick
 * young-generation collection frees it; by itself V8 collects everything instead, because it sees much memory and few
 * objects.
 */
export class YoungGarbage {
  #bytes = 0

  add(bytes: number): void {
    this.#bytes += bytes
  }

  /** Call when there is time. */
  sweep(): void {
    if (this.#bytes < MAX_BYTES) return
    this.#bytes = 0
    collect?.({ type: 'minor' })
  }
}
