import { Hono } from 'hono'
import type { StreamRegistry } from '../stream/registry.ts'

export type ServiceInfo = { version: string; pipeline: string; maxStreams: number }

/** `GET /health` and `GET /version`. */
export function serviceRoutes(registry: StreamRegistry, info: ServiceInfo): Hono {
  const app = new Hono()
  app.get('/health', (c) => c.json({ status: health(registry, info) }))
  app.get('/version', (c) =>
    c.json({ pipeline: 'live-video-to-video', model_id: info.pipeline, version: info.version }),
  )
  return app
}

/**
 * In the words of the Livepeer runner: IDLE while there is room for one more stream, OK when none is free, LOADING and
 * ERROR when every stream is so.
 */
function health(registry: StreamRegistry, info: ServiceInfo): 'IDLE' | 'OK' | 'LOADING' | 'ERROR' {
  const states = registry.streams.map((stream) => stream.status().state)
  if (states.length > 0 && states.every((state) => state === 'ERROR')) return 'ERROR'
  if (states.length > 0 && states.every((state) => state === 'LOADING')) return 'LOADING'
  return states.length < info.maxStreams ? 'IDLE' : 'OK'
}
