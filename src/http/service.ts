import { Hono } from 'hono'
import type { StreamRegistry } from '../stream/registry.ts'
import { RETRY_AFTER_SECONDS } from '../stream/registry.ts'
import type { EventLoopWatch } from './event-loop.ts'
import { readinessOf } from './readiness.ts'

export type ServiceInfo = { version: string; pipeline: string }

/** `GET /health` and `GET /version` for the Livepeer network, `GET /ready` for a load balancer. */
export function serviceRoutes(registry: StreamRegistry, info: ServiceInfo, eventLoop: EventLoopWatch): Hono {
  const app = new Hono()
  app.get('/health', (c) => c.json({ status: health(registry) }))
  app.get('/ready', (c) => {
    const readiness = readinessOf(registry, eventLoop)
    if (readiness.ready) return c.json(readiness, 200)
    return c.json(readiness, 503, { 'retry-after': String(RETRY_AFTER_SECONDS) })
  })
  app.get('/version', (c) =>
    c.json({ pipeline: 'live-video-to-video', model_id: info.pipeline, version: info.version }),
  )
  return app
}

/**
 * In the words of the Livepeer runner: IDLE while there is room for one more stream, OK when none is free, LOADING and
 * ERROR when every stream is so.
 */
function health(registry: StreamRegistry): 'IDLE' | 'OK' | 'LOADING' | 'ERROR' {
  const states = registry.streams.map((stream) => stream.status().state)
  if (states.length > 0 && states.every((state) => state === 'ERROR')) return 'ERROR'
  if (states.length > 0 && states.every((state) => state === 'LOADING')) return 'LOADING'
  return states.length < registry.maxStreams ? 'IDLE' : 'OK'
}
