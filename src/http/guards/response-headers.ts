import { randomUUID } from 'node:crypto'
import type { HttpBindings } from '@hono/node-server'
import type { MiddlewareHandler } from 'hono'
import { AppError } from '../../core/errors.ts'
import { problemResponse } from '../status.ts'
import type { Access } from './auth.ts'
import { isLoopbackName, originHost } from './client-address.ts'

/** Everything comes from this server; the page may also create images and media itself. */
const CONTENT_POLICY = [
  "default-src 'self'",
  "img-src 'self' blob: data:",
  "media-src 'self' blob:",
  "object-src 'none'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'self'",
].join('; ')

const FIXED: [name: string, value: string][] = [
  ['content-security-policy', CONTENT_POLICY],
  ['permissions-policy', 'camera=(self), microphone=(self), display-capture=(self), geolocation=()'],
  ['referrer-policy', 'no-referrer'],
  ['x-content-type-options', 'nosniff'],
  ['x-frame-options', 'SAMEORIGIN'],
]

const ALLOWED_HEADERS = 'Authorization, Content-Type, If-Match, Last-Event-ID, Lp-Trickle-Reset, X-Request-Id'
const EXPOSED_HEADERS =
  'Location, ETag, Link, Accept-Post, Accept-Patch, Retry-After, X-Request-Id, Lp-Trickle-Seq, Lp-Trickle-Latest, Lp-Trickle-Closed'
const METHODS = 'OPTIONS, GET, HEAD, POST, PUT, PATCH, DELETE'

/**
 * Headers of every response, set on the socket because some routes answer there: a request id, the security policy, and
 * which origins may read it. Also answers preflights, except for WHIP and WHEP, which answer their own.
 */
export function responseHeaders(access: Access): MiddlewareHandler<{ Bindings: HttpBindings }> {
  return async (c, next) => {
    const { outgoing } = c.env
    const origin = c.req.header('origin')
    outgoing.setHeader('x-request-id', requestId(c.req.header('x-request-id')))
    for (const [name, value] of FIXED) outgoing.setHeader(name, value)
    if (access.localOnly) outgoing.setHeader('vary', 'Origin')
    const readable = access.localOnly ? origin !== undefined && isLoopbackName(originHost(origin)) : true
    if (readable) {
      outgoing.setHeader('access-control-allow-origin', access.localOnly ? (origin ?? '') : '*')
      outgoing.setHeader('access-control-expose-headers', EXPOSED_HEADERS)
    }
    if (!METHODS.split(', ').includes(c.req.method)) {
      c.header('allow', METHODS)
      return problemResponse(c, new AppError('invalid-request', `${c.req.method} is not supported here`), 405)
    }
    if (c.req.method !== 'OPTIONS' || /^\/wh[ie]p\//.test(c.req.path)) return await next()
    return c.body(null, 204, {
      'access-control-allow-methods': METHODS,
      'access-control-allow-headers': ALLOWED_HEADERS,
      'access-control-max-age': '86400',
    })
  }
}

/** The client's id if it is safe to log. */
function requestId(given: string | undefined): string {
  return given !== undefined && /^[\w.-]{1,64}$/.test(given) ? given : randomUUID()
}
