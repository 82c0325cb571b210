import type { HttpBindings } from '@hono/node-server'
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response'
import type { MiddlewareHandler } from 'hono'

/**
 * An answer that did not wait for the whole body ends its connection: the rest may be endless, and another request on
 * the connection, from a proxy's pool for example, would wait behind it.
 */
export function closeUnread(): MiddlewareHandler<{ Bindings: HttpBindings }> {
  return async (c, next) => {
    await next()
    const { incoming } = c.env
    // Its handler answers by itself, and may read on for hours.
    if (c.res === RESPONSE_ALREADY_SENT) return
    const { 'content-length': length = '0', 'transfer-encoding': coding } = incoming.headers
    const hasBody = coding !== undefined || length !== '0'
    if (hasBody && !incoming.complete) c.header('connection', 'close')
  }
}
