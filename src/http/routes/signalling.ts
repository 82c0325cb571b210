// WHIP (RFC 9725) and WHEP (draft-ietf-wish-whep) over HTTP, with common endpoint and session resources.
import type { HttpBindings } from '@hono/node-server'
import { type Context, Hono, type MiddlewareHandler } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import { AppError } from '../../core/errors.ts'
import { checkStreamName } from '../../stream/registry.ts'
import type { IceServer } from '../../webrtc/ice/agent.ts'
import type { SignalledSession } from '../../webrtc/signalling/session.ts'
import { HalfOpenSessions } from '../guards/half-open.ts'
import type { TrustedProxies } from '../guards/proxies.ts'

export type SignallingOptions = {
  /** First segment of the paths. */
  kind: 'whip' | 'whep'
  /** Opens a session or throws; the session is closed by DELETE or ends by itself. */
  open(request: OpenRequest): Promise<SignalledSession>
  /** Sent to clients in `Link` headers, with their credentials. */
  iceServers(): readonly IceServer[]
  /** Lets a request pass or throws; not applied to preflights. */
  guard?: MiddlewareHandler
  /** Proxies whose forwarding header is trusted; default: none. */
  proxies?: TrustedProxies
  /** Limit of sessions of this kind, over all streams; default 1000. */
  maxSessions?: number
}

export type OpenRequest = {
  stream: string
  /** SDP. */
  offer: string
  query: Record<string, string>
  /** The request. */
  c: Context
}

/** Limits of half-open sessions. Many clients behind one address may join at once. */
const MAX_HALF_OPEN = { perAddress: 32, inAll: 128 }
const OFFER_TYPE = 'application/sdp'
const FRAGMENT_TYPE = 'application/trickle-ice-sdpfrag'
const MAX_BODY_BYTES = 128 * 1024
const MAX_ENDED = 1000
const ENDPOINT_METHODS = 'OPTIONS, GET, HEAD, POST'
const SESSION_METHODS = 'OPTIONS, GET, HEAD, PATCH, DELETE'

/** `/{kind}/{stream}` opens sessions, `/{kind}/{stream}/{session}` is one. */
export function signallingRoutes(options: SignallingOptions): Hono {
  const { kind, iceServers, guard, proxies, maxSessions = 1000 } = options
  const sessions = new Map<string, { stream: string; session: SignalledSession }>()
  /** Recently ended sessions, and their streams. */
  const ended = new Map<string, string>()
  const endpoint = `/${kind}/:stream`
  const resource = `/${kind}/:stream/:session`
  // Half of the places are for sessions that connect.
  const most = Math.ceil(maxSessions / 2)
  const halfOpen = new HalfOpenSessions({
    perAddress: Math.min(most, MAX_HALF_OPEN.perAddress),
    inAll: Math.min(most, MAX_HALF_OPEN.inAll),
  })
  const addressOf = (peer: string | undefined, forwarded: string | undefined) =>
    proxies?.clientAddress(peer, forwarded) ?? peer ?? 'local'
  let opening = 0

  const find = (c: Context): SignalledSession => {
    const { stream, session } = c.req.param()
    const found = sessions.get(session ?? '')
    if (!found || found.stream !== stream) throw new AppError('not-found', `there is no such ${kind} session`)
    return found.session
  }

  /** A session that has not connected takes no established session's place. */
  const open = async (request: OpenRequest): Promise<SignalledSession> => {
    for (;;) {
      try {
        return await options.open(request)
      } catch (thrown) {
        const full = thrown instanceof AppError && thrown.code === 'capacity'
        if (!full || !(await halfOpen.makeRoom(request.stream))) throw thrown
      }
    }
  }

  const tellIceServers = (c: Context): void => {
    for (const link of iceServers().flatMap(links)) c.header('link', link, { append: true })
  }

  const app = new Hono()
  app.use(`/${kind}/*`, crossOrigin)
  if (guard) app.use(`/${kind}/*`, guard)
  app.use(`/${kind}/*`, bodyLimit({ maxSize: MAX_BODY_BYTES, onError: tooLarge }))

  app.on(['GET', 'HEAD'], [endpoint], (c) => {
    checkStreamName(c.req.param('stream') ?? '')
    return c.body(null, 204, { 'accept-post': OFFER_TYPE })
  })
  // For clients that need the ICE servers before their offer (RFC 9725 §4.6).
  app.options(endpoint, (c) => {
    checkStreamName(c.req.param('stream') ?? '')
    tellIceServers(c)
    return c.body(null, 204, { 'accept-post': OFFER_TYPE, allow: ENDPOINT_METHODS })
  })
  app.post(endpoint, async (c) => {
    requireType(c, OFFER_TYPE)
    if (sessions.size + opening >= maxSessions) {
      throw new AppError('capacity', `there are ${maxSessions} ${kind} sessions already`, { retryable: true })
    }
    const stream = c.req.param('stream') ?? ''
    opening++
    const session = await c.req
      .text()
      .then((offer) => open({ stream, offer, query: c.req.query(), c }))
      .finally(() => opening--)
    const { incoming, outgoing } = (c.env ?? {}) as Partial<HttpBindings>
    if (outgoing?.destroyed) {
      await session.close()
      throw new AppError('peer-failed', 'the client left before its session was open')
    }
    sessions.set(session.id, { stream, session })
    halfOpen.add(session, addressOf(incoming?.socket.remoteAddress, c.req.header('x-forwarded-for')), stream)
    void session.closed.then(() => {
      sessions.delete(session.id)
      ended.set(session.id, stream)
      const [oldest] = ended.keys()
      if (ended.size > MAX_ENDED && oldest !== undefined) ended.delete(oldest)
    })
    tellIceServers(c)
    return c.body(session.answer, 201, {
      'content-type': OFFER_TYPE,
      // Relative to the endpoint (RFC 9110 §10.2.2), because a proxy may strip a path prefix.
      location: `${encodeURIComponent(stream)}/${session.id}${tokenOf(c)}`,
      etag: session.etag,
      'accept-patch': FRAGMENT_TYPE,
    })
  })
  app.all(endpoint, (c) => notAllowed(c, ENDPOINT_METHODS))

  app.options(resource, (c) => c.body(null, 204, { 'accept-patch': FRAGMENT_TYPE, allow: SESSION_METHODS }))
  app.on(['GET', 'HEAD'], [resource], (c) => {
    find(c)
    return c.body(null, 204, { 'accept-patch': FRAGMENT_TYPE })
  })
  app.patch(resource, async (c) => {
    const session = find(c)
    requireType(c, FRAGMENT_TYPE)
    const condition = c.req.header('if-match')
    if (condition === undefined)
      return problem(c, 428, 'send If-Match with the ETag of the session, or * to restart ICE')
    const tags = condition.split(',').map((tag) => tag.trim())
    if (!tags.includes('*') && !tags.includes(session.etag)) {
      return problem(c, 412, 'the ICE session of this ETag is not the current one')
    }
    const { restarted } = session.patch(await c.req.text())
    if (restarted === undefined) return c.body(null, 204)
    return c.body(restarted, 200, { 'content-type': FRAGMENT_TYPE, etag: session.etag })
  })
  app.delete(resource, async (c) => {
    // OBS closes DTLS first, which ends the session, and treats a 404 for its DELETE as a failure.
    const stream = ended.get(c.req.param('session') ?? '')
    if (stream === undefined || stream !== c.req.param('stream')) await find(c).close()
    return c.body(null, 200)
  })
  app.all(resource, (c) => notAllowed(c, SESSION_METHODS))
  return app
}

/** Pages of any origin may use a session: it is protected by its token or its unguessable URL. */
const crossOrigin: MiddlewareHandler = async (c, next) => {
  c.header('access-control-allow-origin', '*')
  c.header('access-control-expose-headers', 'Location, ETag, Link, Accept-Post, Accept-Patch, Retry-After')
  // A preflight has no token and gets no ICE servers (RFC 9725 §4.6).
  const isPreflight = c.req.method === 'OPTIONS' && c.req.header('access-control-request-method') !== undefined
  if (!isPreflight) return await next()
  return c.body(null, 204, {
    'accept-post': OFFER_TYPE,
    'accept-patch': FRAGMENT_TYPE,
    'access-control-allow-methods': 'OPTIONS, GET, HEAD, POST, PATCH, DELETE',
    'access-control-allow-headers': 'Authorization, Content-Type, If-Match',
    'access-control-max-age': '86400',
  })
}

/** If the client's token is in the URL, it is also put into the session's URL. */
function tokenOf(c: Context): string {
  const token = c.req.query('jwt')
  return token === undefined ? '' : `?jwt=${encodeURIComponent(token)}`
}

/** Parameters such as a charset are accepted. */
function requireType(c: Context, type: string): void {
  const given = c.req.header('content-type')?.split(';')[0]?.trim().toLowerCase()
  if (given === type) return
  throw new AppError('unsupported-media', `the content type is ${given ?? 'not given'}; ${type} is accepted`)
}

/** RFC 8288, as used by RFC 9725 §4.6. */
function links({ urls, username, credential }: IceServer): string[] {
  const quoted = (text: string) => text.replace(/["\\]/g, '\\$&')
  const login =
    username === undefined || credential === undefined
      ? ''
      : `; username="${quoted(username)}"; credential="${quoted(credential)}"; credential-type="password"`
  return [urls].flat().map((url) => `<${url}>; rel="ice-server"${login}`)
}

function tooLarge(c: Context): Response {
  return problem(c, 413, `the body is larger than ${MAX_BODY_BYTES} bytes`)
}

function notAllowed(c: Context, methods: string): Response {
  c.header('allow', methods)
  return problem(c, 405, `${c.req.method} is not possible here; ${methods} are`)
}

/** Statuses that only this protocol has, as RFC 9457 problem details. */
function problem(c: Context, status: ContentfulStatusCode, detail: string): Response {
  const body = { type: 'about:blank', title: TITLES[status], status, detail, code: 'invalid-request' }
  return c.body(JSON.stringify(body), status, { 'content-type': 'application/problem+json' })
}

const TITLES: Partial<Record<ContentfulStatusCode, string>> = {
  405: 'Method not allowed',
  412: 'Precondition failed',
  413: 'The body is too large',
  428: 'Precondition required',
}
