import { nowMs } from '../core/clock.ts'
import { sleep } from '../core/resource.ts'

/** The dispatcher's clock. A simulation replaces it. */
export type Clock = {
  /** Monotonic, in milliseconds. */
  now(): number
  /** Rejects when the signal aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
  /** Calls `act` every `ms`, until the returned function is called. */
  every(ms: number, act: () => void): () => void
}

export const systemClock: Clock = {
  now: nowMs,
  sleep,
  every: (ms, act) => {
    const timer = setInterval(act, ms)
    return () => clearInterval(timer)
  },
}
