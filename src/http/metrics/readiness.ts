import type { StreamRegistry } from '../../stream/registry.ts'
import type { EventLoopDelay, EventLoopWatch } from './event-loop.ts'

/** Whether the server would take another stream now, and facts for a load balancer's choice. */
export type Readiness = {
  ready: boolean
  /** True from SIGTERM on. */
  draining: boolean
  streams: { running: number; max: number }
  /** In milliseconds, over the last ten seconds; tens of milliseconds mean that the machine is overloaded. */
  eventLoopDelayMs: EventLoopDelay
}

export function readinessOf(registry: StreamRegistry, eventLoop: EventLoopWatch): Readiness {
  const { draining, maxStreams } = registry
  const running = registry.running.length
  const ready = !draining && running < maxStreams
  return { ready, draining, streams: { running, max: maxStreams }, eventLoopDelayMs: eventLoop.delay }
}
