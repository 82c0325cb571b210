/** Chunks at least this long are kept as they are; shorter ones are collected in pages. */
const KEEP_BYTES = 4 * 1024
const FIRST_PAGE_BYTES = 4 * 1024
const LAST_PAGE_BYTES = 256 * 1024

/**
 * One numbered piece of a channel: append-only bytes, read from the beginning by any number of independent cursors,
 * until it is closed. A reader keeps it alive, also after its channel dropped it.
 */
export class Segment {
  readonly seq: number
  /** Number of publishers that have it open. */
  writers = 0
  /** True if it was closed before its publisher had finished it. */
  truncated = false
  readonly #blocks: Uint8Array[] = []
  readonly #watchers = new Set<() => void>()
  /** The last block's memory while it has room. */
  #page: Uint8Array | undefined
  #pageBytes = FIRST_PAGE_BYTES
  #bytes = 0
  #closed = false

  constructor(seq: number) {
    this.seq = seq
  }

  get bytes(): number {
    return this.#bytes
  }

  get closed(): boolean {
    return this.#closed
  }

  /** Open and empty. */
  get fresh(): boolean {
    return !this.#closed && this.#bytes === 0
  }

  /** Readers are woken before it returns. `chunk` may be kept: do not write to it afterwards. */
  append(chunk: Uint8Array): void {
    if (this.#closed || chunk.length === 0) return
    this.#bytes += chunk.length
    if (chunk.length >= KEEP_BYTES) {
      this.#seal()
      this.#blocks.push(chunk)
    } else this.#gather(chunk)
    this.#wake()
  }

  /** No more bytes come; calling it twice has no further effect. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#seal()
    this.#wake()
    this.#watchers.clear()
  }

  cursor(): SegmentCursor {
    return new SegmentCursor(this.#blocks)
  }

  /** Calls `listener` after each append and on close, until the returned function is called. */
  watch(listener: () => void): () => void {
    this.#watchers.add(listener)
    return () => this.#watchers.delete(listener)
  }

  /** Resolves at the next append or close; immediately if closed. Rejects with the signal's reason. */
  changed(signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return Promise.reject(signal.reason)
    if (this.#closed) return Promise.resolve()
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const done = () => {
      unwatch()
      signal?.removeEventListener('abort', abort)
      resolve()
    }
    const abort = () => {
      unwatch()
      reject(signal?.reason)
    }
    const unwatch = this.watch(done)
    signal?.addEventListener('abort', abort, { once: true })
    return promise
  }

  /** All its bytes from the beginning, and new ones as they come, until it closes. */
  async *read(signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    const cursor = this.cursor()
    for (;;) {
      const chunk = cursor.next()
      if (chunk) yield chunk
      else if (this.#closed) return
      else await this.changed(signal)
    }
  }

  #gather(chunk: Uint8Array): void {
    let rest = chunk
    while (rest.length > 0) {
      const page = this.#page ?? this.#newPage()
      const used = this.#blocks.at(-1)?.length ?? 0
      const part = rest.subarray(0, page.length - used)
      page.set(part, used)
      this.#blocks[this.#blocks.length - 1] = page.subarray(0, used + part.length)
      if (used + part.length === page.length) {
        this.#page = undefined
        this.#pageBytes = Math.min(this.#pageBytes * 2, LAST_PAGE_BYTES)
      }
      rest = rest.subarray(part.length)
    }
  }

  #newPage(): Uint8Array {
    const page = Buffer.allocUnsafeSlow(this.#pageBytes)
    this.#page = page
    this.#blocks.push(page.subarray(0, 0))
    return page
  }

  /** Frees the unused part of a page. */
  #seal(): void {
    const last = this.#blocks.at(-1)
    if (this.#page && last && last.length < this.#page.length / 2) {
      this.#blocks[this.#blocks.length - 1] = Uint8Array.from(last)
    }
    this.#page = undefined
  }

  #wake(): void {
    for (const watcher of this.#watchers) watcher()
  }
}

/** A reader's position in a segment. */
export class SegmentCursor {
  readonly #blocks: readonly Uint8Array[]
  #block = 0
  #offset = 0

  constructor(blocks: readonly Uint8Array[]) {
    this.#blocks = blocks
  }

  /** The next contiguous bytes; `undefined` if there are none now. */
  next(): Uint8Array | undefined {
    for (;;) {
      const block = this.#blocks[this.#block]
      if (!block) return undefined
      if (this.#offset < block.length) {
        const chunk = this.#offset === 0 ? block : block.subarray(this.#offset)
        this.#offset = block.length
        return chunk
      }
      if (this.#block + 1 >= this.#blocks.length) return undefined
      this.#block++
      this.#offset = 0
    }
  }
}
