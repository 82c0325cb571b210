const TICK_MS = 250
/** A GPU driver that hangs, or a process that is stopped, gives nothing and does not end. */
const HUNG_MS = 2000

export type HangWatchOptions = {
  /** Something is due: work was taken that usually would have been done by now. */
  due(): boolean
  onHung(silentMs: number): void
}

/**
 * Tells when a child that has given something takes work and gives nothing for two seconds. Before its first result it may
 * take its time. Only the time in which this process ran is counted, so its own pauses are not held against the child.
 */
export class HangWatch {
  readonly #timer: NodeJS.Timeout
  #silentMs = 0
  #began = false

  constructor({ due, onHung }: HangWatchOptions) {
    this.#timer = setInterval(() => {
      this.#silentMs = this.#began && due() ? this.#silentMs + TICK_MS : 0
      if (this.#silentMs < HUNG_MS) return
      this.stop()
      onHung(this.#silentMs)
    }, TICK_MS)
  }

  /** The child gave something. */
  gave(): void {
    this.#began = true
    this.#silentMs = 0
  }

  stop(): void {
    clearInterval(this.#timer)
  }
}
