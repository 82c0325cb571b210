// Spreads the packets of large frames over a part of the frame interval.

/** A burst that any network takes: 16 packets are 19 kB. */
const BURST_PACKETS = 16
const BURST_EVERY_MS = 2
/** Whatever waits is sent within about this time, so that frames at 30 a second never queue up. */
const DRAIN_MS = 20

/** Sends in small bursts, in order; a frame that fits into one goes out at once. */
export class Pacer<T> {
  readonly #send: (item: T) => void
  #queue: T[] = []
  #timer: NodeJS.Timeout | undefined

  constructor(send: (item: T) => void) {
    this.#send = send
  }

  push(items: readonly T[]): void {
    this.#queue.push(...items)
    if (!this.#timer) this.#burst()
  }

  /** Forgets what waits. */
  clear(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#queue = []
  }

  #burst(): void {
    const size = Math.max(BURST_PACKETS, Math.ceil((this.#queue.length * BURST_EVERY_MS) / DRAIN_MS))
    for (const item of this.#queue.splice(0, size)) this.#send(item)
    this.#timer = this.#queue.length > 0 ? setTimeout(() => this.#burst(), BURST_EVERY_MS) : undefined
  }
}
