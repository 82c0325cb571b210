import type { HttpBindings } from '@hono/node-server'
import type { MiddlewareHandler } from 'hono'
import { nowMs } from '../../core/clock.ts'
import { AppError } from '../../core/errors.ts'
import { problemResponse } from '../status.ts'
import type { TrustedProxies } from './proxies.ts'

/** Limit of remembered addresses; the least recently active are forgotten first. */
const MAX_ADDRESSES = 10_000

/** A token bucket per address: it holds a minute's worth of requests and refills evenly. */
export class RateLimit {
  readonly #perMinute: number
  readonly #buckets = new Map<string, { left: number; at: number }>()

  /** 0 is no limit. */
  constructor(perMinute: number) {
    this.#perMinute = perMinute
  }

  /** Takes one token; returns 0, or the number of seconds until the next attempt. */
  take(address: string, now = nowMs()): number {
    if (this.#perMinute === 0) return 0
    const perMs = this.#perMinute / 60_000
    const { left, at } = this.#buckets.get(address) ?? { left: this.#perMinute, at: now }
    const filled = Math.min(this.#perMinute, left + (now - at) * perMs)
    const taken = filled >= 1
    this.#buckets.delete(address)
    this.#buckets.set(address, { left: taken ? filled - 1 : filled, at: now })
    if (this.#buckets.size > MAX_ADDRESSES) this.#buckets.delete(this.#buckets.keys().next().value!)
    return taken ? 0 : Math.ceil((1 - filled) / perMs / 1000)
  }
}

/** Guards requests that create sessions, before tokens are checked, so that guessing tokens is slow too. */
export function sessionLimit(
  perMinute: number,
  proxies: TrustedProxies,
): MiddlewareHandler<{ Bindings: HttpBindings }> {
  const limit = new RateLimit(perMinute)
  return async (c, next) => {
    const address = proxies.clientAddress(c.env.incoming.socket.remoteAddress, c.req.header('x-forwarded-for'))
    const retryAfterSeconds = limit.take(address)
    if (retryAfterSeconds === 0) return await next()
    const message = `more than ${perMinute} sessions a minute were asked for from your address (MAX_SESSIONS_PER_MINUTE)`
    return problemResponse(
      c,
      new AppError('capacity', message, { retryable: true, details: { retryAfterSeconds } }),
      429,
    )
  }
}
