import { createHash, timingSafeEqual } from 'node:crypto'
import type { MiddlewareHandler } from 'hono'
import { AppError } from '../core/errors.ts'

export type Tokens = { authToken: string | undefined; viewToken: string | undefined }

/** Refuses with 401 what does not carry the token; lets everything through while none is set. */
export function requireToken(...accepted: (string | undefined)[]): MiddlewareHandler {
  const tokens = accepted.filter((token) => token !== undefined)
  return async (c, next) => {
    if (tokens.length > 0 && c.req.method !== 'OPTIONS') {
      const given = bearer(c.req.header('authorization'))
      if (given === undefined || !tokens.some((token) => sameToken(given, token))) {
        throw new AppError(
          'unauthorized',
          given === undefined ? 'send a token: Authorization: Bearer …' : 'the token is not the right one',
        )
      }
    }
    await next()
  }
}

/** The token of an Authorization header; some clients leave the scheme out. */
export function bearer(header: string | undefined): string | undefined {
  if (!header) return undefined
  const match = /^bearer\s+(.+)$/i.exec(header)
  return (match?.[1] ?? header).trim()
}

/** Compares digests, so that neither content nor length shows in the time it takes. */
function sameToken(a: string, b: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(a), digest(b))
}
