import { monitorEventLoopDelay } from 'node:perf_hooks'

/** In milliseconds: by how much a timer of this process was late. */
export type EventLoopDelay = { p50: number; p99: number; max: number }

/** Each look wakes the process. */
const RESOLUTION_MS = 50
const WINDOW_MS = 10_000

/** How late the event loop is, over the newest whole window of ten seconds. It is what every stream of a server shares. */
export class EventLoopWatch implements AsyncDisposable {
  readonly #histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  readonly #timer: NodeJS.Timeout
  #last: EventLoopDelay | undefined

  constructor() {
    this.#histogram.enable()
    this.#timer = setInterval(() => this.#turn(), WINDOW_MS)
    this.#timer.unref()
  }

  /** Of the last window; of the present one while there is no other. */
  get delay(): EventLoopDelay {
    return this.#last ?? this.#read()
  }

  #turn(): void {
    this.#last = this.#read()
    this.#histogram.reset()
  }

  #read(): EventLoopDelay {
    const { count, max } = this.#histogram
    if (count === 0) return { p50: 0, p99: 0, max: 0 }
    return {
      p50: late(this.#histogram.percentile(50)),
      p99: late(this.#histogram.percentile(99)),
      max: late(max),
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer)
    this.#histogram.disable()
  }
}

/** The histogram holds whole intervals between two timers, in nanoseconds. */
function late(intervalNs: number): number {
  return Math.max(0, Math.round((intervalNs / 1e6 - RESOLUTION_MS) * 100) / 100)
}
