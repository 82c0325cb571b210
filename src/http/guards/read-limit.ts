import type { HttpBindings } from '@hono/node-server'
import type { MiddlewareHandler } from 'hono'
import { AppError } from '../../core/errors.ts'
import { problemResponse } from '../status.ts'
import type { TrustedProxies } from './proxies.ts'

/** Limits the long polls, endless bodies and event streams of one address at once. 0 is no limit. */
export function readLimit(max: number, proxies: TrustedProxies): MiddlewareHandler<{ Bindings: HttpBindings }> {
  const reading = new Map<string, number>()
  return async (c, next) => {
    const { incoming, outgoing } = c.env
    if (max === 0 || outgoing.destroyed) return await next()
    const address = proxies.clientAddress(incoming.socket.remoteAddress, c.req.header('x-forwarded-for'))
    const count = reading.get(address) ?? 0
    if (count >= max) {
      const message = `${max} reads from your address are being answered (MAX_READS_PER_ADDRESS)`
      const details = { retryAfterSeconds: 5 }
      return problemResponse(c, new AppError('capacity', message, { retryable: true, details }), 429)
    }
    reading.set(address, count + 1)
    outgoing.once('close', () => {
      const left = (reading.get(address) ?? 1) - 1
      if (left > 0) reading.set(address, left)
      else reading.delete(address)
    })
    await next()
  }
}
