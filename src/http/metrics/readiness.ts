import type { StreamRegistry } from '../../stream/registry.ts'
import type { EventLoopDelay, EventLoopWatch } from './event-loop.ts'

/** Whether the server would take one more stream now, and what speaks for or against sending it one. */
export type Readiness = {
  ready: boolean
  /** True from SIGTERM on. */
  draining: boolean
  streams: { running: number; max: number }
  /** Milliseconds, over the last ten seconds; tens of them mean that the machine has too much to do. */
  eventLoopDelayMs: EventLoopDelay
}

export function readinessOf(registry: StreamRegistry, eventLoop: EventLoopWatch): Readiness {
  const { draining, maxStreams } = registry
  const running = registry.streams.length
  const ready = !draining && running < maxStreams
  return { ready, draining, streams: { running, max: maxStreams }, eventLoopDelayMs: eventLoop.delay }
}
