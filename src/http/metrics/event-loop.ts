import { monitorEventLoopDelay } from 'node:perf_hooks'

/** How late timers of this process fire, in milliseconds. */
export type EventLoopDelay = { p50: number; p99: number; max: number }

/** Each sample wakes the process. */
const RESOLUTION_MS = 50
const WINDOW_MS = 10_000

/** Measures event loop delay over windows of ten seconds. All streams of a server share the event loop. */
export class EventLoopWatch implements AsyncDisposable {
  readonly #histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  readonly #timer: NodeJS.Timeout
  #last: EventLoopDelay | undefined

  constructor() {
    this.#histogram.enable()
    this.#timer = setInterval(() => this.#turn(), WINDOW_MS)
    this.#timer.unref()
  }

  /** Of the last complete window; of the current one until there is one. */
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

/** The histogram contains whole intervals between two timers, in nanoseconds. */
function late(intervalNs: number): number {
  return Math.max(0, Math.round((intervalNs / 1e6 - RESOLUTION_MS) * 100) / 100)
}
