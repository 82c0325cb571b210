import type { HttpBindings } from '@hono/node-server'
import type { MiddlewareHandler } from 'hono'
import type { RequestSpans } from '../tracing/requests.ts'
import { routeOf } from './metrics/request-counts.ts'

const CHANGES = new Set(['POST', 'PUT', 'PATCH', 'DELETE'])

/** A span for each request that changes something. Trickle segments are excluded: they are media, many per second. */
export function tracedChanges(spans: RequestSpans): MiddlewareHandler<{ Bindings: HttpBindings }> {
  return async (c, next) => {
    const { method, path } = c.req
    if (!CHANGES.has(method) || path.startsWith('/trickle/')) return await next()
    const { outgoing } = c.env
    await spans.within(
      { method, path, headers: c.req.raw.headers },
      (end) => {
        // 499: the client left before there was a response.
        outgoing.once('close', () => end(routeOf(c), outgoing.headersSent ? outgoing.statusCode : 499))
      },
      next,
    )
  }
}
