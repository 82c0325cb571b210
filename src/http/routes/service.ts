import { Hono } from 'hono'
import type { StreamRegistry } from '../../stream/registry.ts'
import { RETRY_AFTER_SECONDS } from '../../stream/registry.ts'
import type { EventLoopWatch } from '../metrics/event-loop.ts'
import { readinessOf } from '../metrics/readiness.ts'

export type ServiceInfo = { version: string; pipeline: string }

/** `GET /ready`, for load balancers. */
export function serviceRoutes(registry: StreamRegistry, eventLoop: EventLoopWatch): Hono {
  const app = new Hono()
  app.get('/ready', (c) => {
    const readiness = readinessOf(registry, eventLoop)
    if (readiness.ready) return c.json(readiness, 200)
    return c.json(readiness, 503, { 'retry-after': String(RETRY_AFTER_SECONDS) })
  })
  return app
}
