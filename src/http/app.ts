import type { HttpBindings } from '@hono/node-server'
import { serveStatic } from '@hono/node-server/serve-static'
import { OpenAPIHono } from '@hono/zod-openapi'
import type { MiddlewareHandler } from 'hono'
import { AppError } from '../core/errors.ts'
import type { Log } from '../core/log.ts'
import type { UrlGuard } from '../core/url-guard.ts'
import type { Catalog } from '../pipeline/catalog.ts'
import type { PipelinePool } from '../pipeline/pool.ts'
import type { StreamRegistry } from '../stream/registry.ts'
import type { RemoteStreams } from '../stream/remote-streams.ts'
import type { TestPictures } from '../stream/test-pictures.ts'
import type { TrickleServer } from '../trickle/server.ts'
import { type Access, guardsFor, ownNamesOnly } from './auth.ts'
import { docsRoutes } from './docs.ts'
import type { EventLoopWatch } from './event-loop.ts'
import { ingestRoutes } from './ingest.ts'
import { bodyDeadline, smallBodies } from './limits.ts'
import { metricsRoutes } from './metrics.ts'
import { outRoutes } from './out.ts'
import { pipelineRoutes } from './pipelines.ts'
import { sessionLimit } from './rate-limit.ts'
import { readinessOf } from './readiness.ts'
import { remoteStreamRoutes } from './remote-streams.ts'
import { RequestCounts } from './request-counts.ts'
import { responseHeaders } from './response-headers.ts'
import { type ServiceInfo, serviceRoutes } from './service.ts'
import { signallingRoutes } from './signalling.ts'
import { errorOf, problemResponse } from './status.ts'
import { streamEventRoutes } from './stream-events.ts'
import { streamRoutes } from './streams.ts'
import { testPictureRoutes } from './test-pictures.ts'
import { trickleRoutes } from './trickle.ts'
import { type WebRtc, whepEndpoint, whipEndpoint } from './webrtc.ts'

export type AppOptions = {
  registry: StreamRegistry
  catalog: Catalog
  pool: PipelinePool
  trickle: TrickleServer
  testPictures: TestPictures
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
  for (const path of ['/ingest/:stream', '/whip/:stream', '/whep/:stream', '/test-picture/:stream', '/streams']) {
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
  app.use('/test-picture/*', control)
  app.route('/', streamEventRoutes(registry))
  app.route('/', streamRoutes(registry))
  app.route('/', remoteStreamRoutes(options.remotes, options.urlGuard))
  app.use('/pipelines/*', view)
  app.route('/', pipelineRoutes(options.catalog, options.pool))
  app.route('/', testPictureRoutes(options.testPictures))
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
