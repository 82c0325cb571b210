import { VideoOutput } from './video-output.ts'

/**
 * Outputs between the author's code and the runner. Bounded: when it is full the oldest is lost, and counted.
 */
export class OutputQueue {
  readonly #capacity: number
  readonly #queue: VideoOutput[] = []
  readonly #waiting: ((output: VideoOutput) => void)[] = []
  /** Called by the queue for each output that came in, or was lost here; the runner counts with it. */
  onTally: ((what: 'put' | 'lost') => void) | undefined

  constructor(capacity = 16) {
    this.#capacity = capacity
  }

  get size(): number {
    return this.#queue.length
  }

  put(output: VideoOutput): void {
    if (!(output instanceof VideoOutput)) throw new TypeError('outputs.put takes a VideoOutput')
    this.onTally?.('put')
    const taker = this.#waiting.shift()
    if (taker) {
      taker(output)
      return
    }
    this.#queue.push(output)
    if (this.#queue.length > this.#capacity) {
      this.#queue.shift()
      this.onTally?.('lost')
    }
  }

  /** The oldest output; waits for one when there is none. */
  get(): Promise<VideoOutput> {
    const output = this.#queue.shift()
    if (output) return Promise.resolve(output)
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  /** Discards what waits. */
  clear(): void {
    for (const _ of this.#queue.splice(0)) this.onTally?.('lost')
  }
}
