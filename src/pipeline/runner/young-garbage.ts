/** The memory of so many bytes of frames may lie about. */
const MAX_BYTES = 24 * 1024 * 1024

/** V8's collector, which is there with `--expose-gc`; author code shall not find it. */
const collect = globalThis.gc as ((options: { type: 'minor' }) => void) | undefined
globalThis.gc = undefined

/**
 * The memory of frames that the author's code is done with. Nearly all of it is young, and V8's quick collection of what
 * is young frees it; left to itself V8 looks through everything instead, since it sees much memory and few objects.
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
