import { createHash, timingSafeEqual } from 'node:crypto'
import type { HttpBindings } from '@hono/node-server'
import type { Context, MiddlewareHandler } from 'hono'
import { AppError } from '../../core/errors.ts'
import type { AuthUrl } from './auth-url.ts'
import {
  isForwardedFromAfar,
  isLoopbackAddress,
  isLoopbackName,
  isUnregistrableName,
  originHost,
} from './client-address.ts'
import { type JwtVerifier, matchesAny } from './jwt.ts'
import type { TrustedProxies } from './proxies.ts'
import { requestedStream } from './requested-stream.ts'

/** Access control; docs/security.md has it as a table. */
export type Access = {
  /** Required for publishing and control. */
  authToken: string | undefined
  /** Required for watching; `authToken` is accepted as well. */
  viewToken: string | undefined
  /** Accepts signed tokens, also in the URL. */
  jwt?: JwtVerifier | undefined
  /** Asks an external service. */
  authUrl?: AuthUrl | undefined
  /** Token of the server's own publishers if only `jwt` or `authUrl` grant access. */
  ownToken?: string | undefined
  /** True while, without a token, only this machine may publish and control. */
  localOnly: boolean
}

type Guard = MiddlewareHandler<{ Bindings: HttpBindings }>
type Connection = Context<{ Bindings: HttpBindings }>

/** Throws `unauthorized` if the access is refused. */
export type Permit = () => Promise<void>

/** Lets a request pass, or throws `unauthorized`. */
export type Guards = {
  control: Guard
  view: Guard
  /**
   * For the sender of a request that may view: whether it may also control, to be checked later, without the request.
   * Only AUTH_URL is asked then, so that it gets no questions about viewers who never control.
   */
  controlLater(c: Connection): Promise<Permit>
}

export function guardsFor(access: Access, proxies: TrustedProxies): Guards {
  const { authToken, viewToken, ownToken, localOnly, jwt, authUrl } = access
  const asksElsewhere = jwt !== undefined || authUrl !== undefined
  const known = (...tokens: (string | undefined)[]) => tokens.filter((token) => token !== undefined)
  const guard =
    (check: (c: Connection) => void | Promise<void>): Guard =>
    async (c, next) => {
      await check(c)
      await next()
    }
  const controlLater = async (c: Connection): Promise<Permit> => {
    const tokens = known(authToken, ownToken)
    if (asksElsewhere) return await permit(c, 'publish', tokens, access, proxies)
    try {
      if (authToken !== undefined) requireToken(c, tokens)
      else {
        refuseOtherOrigins(c)
        if (localOnly) refuseOtherMachines(c)
      }
      return async () => {}
    } catch (thrown) {
      return async () => {
        throw thrown
      }
    }
  }
  const control = guard(async (c) => (await controlLater(c))())
  const view = guard(async (c) => {
    const tokens = known(viewToken, authToken, ownToken)
    if (asksElsewhere) return (await permit(c, 'view', tokens, access, proxies))()
    if (viewToken !== undefined) return requireToken(c, tokens)
    if (localOnly) refuseRemotePages(c)
  })
  return { control, view, controlLater }
}

/** By a server token, else by a signed token, else by asking AUTH_URL. */
async function permit(
  c: Connection,
  action: 'publish' | 'view',
  tokens: string[],
  { jwt, authUrl }: Access,
  proxies: TrustedProxies,
): Promise<Permit> {
  const admitted = async () => {}
  const header = bearer(c.req.header('authorization'))
  if (header !== undefined && isOneOf(header, tokens)) return admitted
  // Players and publishers that cannot set headers send a signed token in the URL; server tokens are never accepted
  // there.
  const token = header ?? c.req.query('jwt')
  const stream = requestedStream(c)
  let why = token === undefined ? challenge() : wrongToken()
  if (jwt && token !== undefined) {
    try {
      const { admin, publish, view } = await jwt.verify(token)
      const allowed = action === 'publish' ? publish : [...publish, ...view]
      if (admin || (stream === undefined ? allowed.includes('*') : matchesAny(allowed, stream))) return admitted
      const what = stream === undefined ? 'what concerns all streams' : `the stream "${stream.slice(0, 100)}"`
      why = new AppError(
        'unauthorized',
        `the token does not allow to ${action === 'view' ? 'view' : 'publish or control'} ${what}`,
      )
    } catch (thrown) {
      why = AppError.from(thrown)
    }
  }
  const address = proxies.clientAddress(c.env.incoming.socket.remoteAddress, c.req.header('x-forwarded-for'))
  const question = { action, stream: stream ?? null, address, token: token ?? null }
  return async () => {
    if (!(await authUrl?.admits(question))) throw why
  }
}

/** The token of an Authorization header; some clients omit the scheme. */
function bearer(header: string | undefined): string | undefined {
  if (!header) return undefined
  const match = /^bearer\s+(.+)$/i.exec(header)
  return (match?.[1] ?? header).trim()
}

/**
 * While only this machine may control, accepts no host names but its own: otherwise any page could use a name that
 * resolves to this machine and count as same-origin (DNS rebinding).
 */
export function ownNamesOnly({ localOnly }: Access): Guard {
  return async (c, next) => {
    const host = c.req.header('host') ?? ''
    // RFC 9112 §3.2: of two, a proxy might have gone by the other one.
    if (localOnly && (c.env.incoming.headersDistinct.host?.length ?? 0) > 1) {
      throw new AppError('invalid-request', 'the request has more than one Host header')
    }
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
  if (given !== undefined && isOneOf(given, tokens)) return
  throw given === undefined ? challenge() : wrongToken()
}

const challenge = () => new AppError('unauthorized', 'send a token: Authorization: Bearer …')
const wrongToken = () => new AppError('unauthorized', 'the token is not the right one')

function isOneOf(given: string, tokens: string[]): boolean {
  return tokens.some((token) => sameToken(given, token))
}

/** Compares digests, so that the time reveals neither content nor length. */
function sameToken(a: string, b: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(a), digest(b))
}

/**
 * A page of another origin must not control the server through a visitor's browser, where a token is the only other
 * protection.
 */
function refuseOtherOrigins(c: Context): void {
  const origin = c.req.header('origin')
  const site = c.req.header('sec-fetch-site')
  const same =
    origin === undefined ? site === undefined || site === 'same-origin' || site === 'none' : isSame(c, origin)
  // A registered name may be anybody's and may be pointed here (DNS rebinding).
  if (same && (origin === undefined || isUnregistrableName(originHost(origin)))) return
  throw new AppError(
    'unauthorized',
    `a page of ${origin?.slice(0, 100) ?? 'another site'} may not control this server, which has no AUTH_TOKEN; set one and send it`,
  )
}

/** Pages of this machine may watch, whatever port they come from. */
function refuseRemotePages(c: Context): void {
  const origin = c.req.header('origin')
  const navigates = c.req.header('sec-fetch-mode') === 'navigate'
  const remote =
    origin === undefined
      ? c.req.header('sec-fetch-site') === 'cross-site' && !navigates
      : !isSame(c, origin) && !isLoopbackName(originHost(origin))
  if (!remote) return
  throw new AppError('unauthorized', 'this server has no AUTH_TOKEN, so pages of other sites may not watch it')
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
