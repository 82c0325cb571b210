import { createHash, timingSafeEqual } from 'node:crypto'
import type { HttpBindings } from '@hono/node-server'
import type { Context, MiddlewareHandler } from 'hono'
import { AppError } from '../../core/errors.ts'
import {
  isForwardedFromAfar,
  isLoopbackAddress,
  isLoopbackName,
  isUnregistrableName,
  originHost,
} from './client-address.ts'

/** Who may do what. docs/security.md tells it as a table. */
export type Access = {
  /** Asked for by what publishes and controls. */
  authToken: string | undefined
  /** Asked for by what watches; the other one does as well. */
  viewToken: string | undefined
  /** True while, for want of a token, nobody but this machine may publish and control. */
  localOnly: boolean
}

type Guard = MiddlewareHandler<{ Bindings: HttpBindings }>

/** Lets a request through, or throws `unauthorized`. */
export type Guards = { control: Guard; view: Guard }

export function guardsFor(access: Access): Guards {
  const { authToken, viewToken, localOnly } = access
  const guard =
    (check: (c: Context) => void): Guard =>
    async (c, next) => {
      check(c)
      await next()
    }
  const control = guard((c) => {
    if (authToken !== undefined) return requireToken(c, [authToken])
    refuseOtherOrigins(c)
    if (localOnly) refuseOtherMachines(c)
  })
  const view = guard((c) => {
    if (viewToken !== undefined) return requireToken(c, authToken === undefined ? [viewToken] : [viewToken, authToken])
    if (localOnly) refuseRemotePages(c)
  })
  return { control, view }
}

/** The token of an Authorization header; some clients leave the scheme out. */
export function bearer(header: string | undefined): string | undefined {
  if (!header) return undefined
  const match = /^bearer\s+(.+)$/i.exec(header)
  return (match?.[1] ?? header).trim()
}

/**
 * While only this machine may control, answers to no other host name than its own: else any page could give itself a
 * name that leads here, and be of the same origin (DNS rebinding).
 */
export function ownNamesOnly({ localOnly }: Access): Guard {
  return async (c, next) => {
    const host = c.req.header('host') ?? ''
    if (localOnly && !isLoopbackName(host)) {
      throw new AppError(
        'unauthorized',
        `this server has no AUTH_TOKEN and answers on its own machine only, not as "${host.slice(0, 100)}"; set AUTH_TOKEN to serve it under other names`,
      )
    }
    await next()
  }
}

function requireToken(c: Context, tokens: string[]): void {
  const given = bearer(c.req.header('authorization'))
  if (given !== undefined && tokens.some((token) => sameToken(given, token))) return
  throw new AppError(
    'unauthorized',
    given === undefined ? 'send a token: Authorization: Bearer …' : 'the token is not the right one',
  )
}

/** Compares digests, so that neither content nor length shows in the time it takes. */
function sameToken(a: string, b: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(a), digest(b))
}

/** A page elsewhere must not steer the server through its visitor's browser, which is all that a token would prevent. */
function refuseOtherOrigins(c: Context): void {
  const origin = c.req.header('origin')
  const site = c.req.header('sec-fetch-site')
  const same =
    origin === undefined ? site === undefined || site === 'same-origin' || site === 'none' : isSame(c, origin)
  // A page under a name that somebody registered may be anybody's, for the name can be pointed here (DNS rebinding).
  if (same && (origin === undefined || isUnregistrableName(originHost(origin)))) return
  throw new AppError(
    'unauthorized',
    `a page of ${origin?.slice(0, 100) ?? 'another site'} may not control this server, which has no AUTH_TOKEN; set one and send it`,
  )
}

/** Watching from pages of this machine is let pass, whatever port they come from. */
function refuseRemotePages(c: Context): void {
  const origin = c.req.header('origin')
  const navigates = c.req.header('sec-fetch-mode') === 'navigate'
  const remote =
    origin === undefined
      ? c.req.header('sec-fetch-site') === 'cross-site' && !navigates
      : !isSame(c, origin) && !isLoopbackName(originHost(origin))
  if (!remote) return
  throw new AppError(
    'unauthorized',
    'a page of another site may not watch this server, which has no AUTH_TOKEN and so serves its own machine only',
  )
}

function refuseOtherMachines(c: Context<{ Bindings: HttpBindings }>): void {
  const { remoteAddress } = c.env.incoming.socket
  if (isLoopbackAddress(remoteAddress) && !isForwardedFromAfar(c.req.header())) return
  throw new AppError(
    'unauthorized',
    'this server has no AUTH_TOKEN, so only its own machine may publish and control; set AUTH_TOKEN and send it, or set HOST to open the server to everyone',
  )
}

function isSame(c: Context, origin: string): boolean {
  return originHost(origin) === c.req.header('host')?.toLowerCase()
}
