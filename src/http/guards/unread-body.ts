import type { HttpBindings } from '@hono/node-server'
import type { MiddlewareHandler } from 'hono'

/**
 * An answer that did not wait for the whole body ends its connection: the rest may be endless, and another request on
 * the connection, from a proxy's pool for example, would wait behind it.
 */
export function closeUnread(): MiddlewareHandler<{ Bindings: HttpBindings }> {
  return async (c, next) => {
    await next()
    const { incoming, outgoing } = c.env
    const { 'content-length': length = '0', 'transfer-encoding': coding } = incoming.headers
    const hasBody = coding !== undefined || length !== '0'
    if (hasBody && !incoming.complete && !outgoing.headersSent) c.header('connection', 'close')
  }
}
