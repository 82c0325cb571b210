import type { HttpBindings } from '@hono/node-server'
import type { MiddlewareHandler } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import { AppError } from '../../core/errors.ts'
import { problemResponse } from '../status.ts'

/** For routes whose bodies are params or an offer. */
export function smallBodies(maxBytes: number): MiddlewareHandler {
  return bodyLimit({
    maxSize: maxBytes,
    onError: (c) => {
      c.header('connection', 'close')
      return problemResponse(c, new AppError('invalid-request', `the body is larger than ${maxBytes} bytes`), 413)
    },
  })
}

/** The body must be there in time; what is then done with it may take as long as it needs. */
export function bodyDeadline(ms: number): MiddlewareHandler<{ Bindings: HttpBindings }> {
  return async (c, next) => {
    const { incoming } = c.env
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
    c.header('connection', 'close')
    const error = new AppError('timeout', `the body did not come within ${ms} ms`, { retryable: true })
    return problemResponse(c, error, 408)
  }
}
