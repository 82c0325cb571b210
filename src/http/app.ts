import type { HttpBindings } from '@hono/node-server'
import { serveStatic } from '@hono/node-server/serve-static'
import { OpenAPIHono } from '@hono/zod-openapi'
import type { MiddlewareHandler } from 'hono'
import { AppError } from '../core/errors.ts'
import type { Log } from '../core/log.ts'
import type { UrlGuard } from '../core/url-guard.ts'
import type { Catalog } from '../pipeline/catalog/catalog.ts'
import type { PipelinePool } from '../pipeline/supervision/pool.ts'
import type { StreamRegistry } from '../stream/registry.ts'
import type { RemoteStreams } from '../stream/remote/streams.ts'
import type { TestPatterns } from '../stream/test-patterns.ts'
import type { TrickleServer } from '../trickle/server/server.ts'
import { type Access, guardsFor, ownNamesOnly } from './guards/auth.ts'
import { bodyDeadline, smallBodies } from './guards/limits.ts'
import { sessionLimit } from './guards/rate-limit.ts'
import { responseHeaders } from './guards/response-headers.ts'
import type { EventLoopWatch } from './metrics/event-loop.ts'
import { metricsRoutes } from './metrics/metrics.ts'
import { readinessOf } from './metrics/readiness.ts'
import { RequestCounts } from './metrics/request-counts.ts'
import { docsRoutes } from './routes/docs.ts'
import { ingestRoutes } from './routes/ingest.ts'
import { outRoutes } from './routes/out.ts'
import { pipelineRoutes } from './routes/pipelines.ts'
import { remoteStreamRoutes } from './routes/remote-streams.ts'
import { type ServiceInfo, serviceRoutes } from './routes/service.ts'
import { signallingRoutes } from './routes/signalling.ts'
import { streamEventRoutes } from './routes/stream-events.ts'
import { streamRoutes } from './routes/streams.ts'
import { testPatternRoutes } from './routes/test-patterns.ts'
import { trickleRoutes } from './routes/trickle.ts'
import { type WebRtc, whepEndpoint, whipEndpoint } from './routes/webrtc.ts'
import { errorOf, problemResponse } from './status.ts'

export type AppOptions = {
  registry: StreamRegistry
  catalog: Catalog
  pool: PipelinePool
  trickle: TrickleServer
  testPatterns: TestPatterns
  remotes: RemoteStreams
  urlGuard: UrlGuard
  webrtc: WebRtc
  access: Access
  /** That one address may ask for; 0 is no limit. */
  maxSessionsPerMinute: number
  info: ServiceInfo
  eventLoop: EventLoopWatch
  /** Folder of the page. */
  publicDir: string
  /** Routes of another network's contract, with their own error shapes; `control` stands before what controls. */
  foreign(control: MiddlewareHandler): OpenAPIHono
  log: Log
}

const MAX_BODY_BYTES = 256 * 1024
const BODY_MS = 15_000

/** Every route of the server. */
export function createApp(options: AppOptions): OpenAPIHono<{ Bindings: HttpBindings }> {
  const { registry, access, eventLoop, info, log } = options
  const app = new OpenAPIHono<{ Bindings: HttpBindings }>()
  const { control, view } = guardsFor(access)
  const requests = new RequestCounts()
  const sessions = sessionLimit(options.maxSessionsPerMinute)

  app.onError((thrown, c) => {
    const error = errorOf(thrown)
    if (error.code === 'internal') {
      const requestId = c.env.outgoing.getHeader('x-request-id')
      log.error({ err: error.cause ?? error, path: c.req.path, requestId }, 'request failed')
    }
    // Nobody reads the rest of a body that is still on its way, and it may be an endless one.
    if (c.req.method !== 'GET' && !c.env.incoming.complete) c.header('connection', 'close')
    return problemResponse(c, error)
  })
  app.notFound((c) =>
    problemResponse(c, new AppError('not-found', `there is nothing at ${c.req.method} ${c.req.path}`)),
  )

  app.use(requests.middleware())
  app.use(responseHeaders(access))
  app.use(ownNamesOnly(access))
  for (const path of ['/ingest/:stream', '/whip/:stream', '/whep/:stream', '/test-pattern/:stream', '/streams']) {
    app.on(['POST', 'PUT'], path, sessions)
  }

  // These write to the socket themselves, so nothing below may want to change their answers.
  app.use('/trickle/*', async (c, next) => {
    const guard = c.req.method === 'GET' ? view : control
    return await guard(c, next)
  })
  app.route('/', trickleRoutes(options.trickle))
  app.use('/ingest/*', control)
  app.route('/', ingestRoutes(registry))
  app.use('/out/*', view)
  app.route('/', outRoutes(registry))

  app.use(bodyDeadline(BODY_MS))
  app.route('/', signallingRoutes(whepEndpoint(registry, options.webrtc, view)))
  app.route('/', signallingRoutes(whipEndpoint(registry, options.webrtc, control)))

  app.use(smallBodies(MAX_BODY_BYTES))
  app.route('/', options.foreign(control))
  app.use('/streams/*', async (c, next) => {
    const reading = c.req.method === 'GET' || c.req.method === 'HEAD'
    return await (reading ? view : control)(c, next)
  })
  app.use('/params', control)
  app.use('/test-pattern/*', control)
  app.use('/test-picture/*', control)
  app.route('/', streamEventRoutes(registry))
  app.route('/', streamRoutes(registry))
  app.route('/', remoteStreamRoutes(options.remotes, options.urlGuard))
  app.use('/pipelines/*', view)
  app.route('/', pipelineRoutes(options.catalog, options.pool))
  app.route('/', testPatternRoutes(options.testPatterns))
  app.use('/metrics', view)
  app.route('/', serviceRoutes(registry, eventLoop))
  app.route(
    '/',
    metricsRoutes({
      streams: () => registry.streams.map((stream) => stream.status()),
      server: () => {
        const readiness = readinessOf(registry, eventLoop)
        return { info, readiness, trickle: options.trickle, eventLoop, requests }
      },
    }),
  )
  app.route('/', docsRoutes({ app, version: info.version, publicDir: options.publicDir }))
  app.get('*', serveStatic({ root: options.publicDir }))
  return app
}
