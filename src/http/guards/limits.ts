import type { HttpBindings } from '@hono/node-server'
import type { MiddlewareHandler } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import { AppError } from '../../core/errors.ts'
import { problemResponse } from '../status.ts'

/** For routes whose bodies are params or an offer. */
export function smallBodies(maxBytes: number): MiddlewareHandler {
  return bodyLimit({
    maxSize: maxBytes,
    onError: (c) =>
      problemResponse(c, new AppError('invalid-request', `the body is larger than ${maxBytes} bytes`), 413),
  })
}

/** Limits the time until the body has arrived; handling it may take longer. */
export function bodyDeadline(ms: number): MiddlewareHandler<{ Bindings: HttpBindings }> {
  return async (c, next) => {
    const { incoming, outgoing } = c.env
    const { method } = c.req
    if (method === 'GET' || method === 'HEAD' || method === 'OPTIONS') return await next()
    const late = Promise.withResolvers<'late'>()
    const timer = setTimeout(() => {
      if (!incoming.complete) late.resolve('late')
    }, ms)
    try {
      if ((await Promise.race([next(), late.promise])) !== 'late') return
    } finally {
      clearTimeout(timer)
    }
    // Whoever still waits for the body gets this error.
    outgoing.once('close', () => incoming.destroy(new Error('the body did not come in time')))
    const error = new AppError('timeout', `the body did not arrive within ${ms} ms`, { retryable: true })
    return problemResponse(c, error, 408)
  }
}
