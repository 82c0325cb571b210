import type { HttpBindings } from '@hono/node-server'
import { serveStatic } from '@hono/node-server/serve-static'
import { OpenAPIHono } from '@hono/zod-openapi'
import type { MiddlewareHandler } from 'hono'
import { AppError } from '../core/errors.ts'
import type { Log } from '../core/log.ts'
import type { UrlGuard } from '../core/url-guard.ts'
import type { Catalog } from '../pipeline/catalog/catalog.ts'
import type { PipelinePool } from '../pipeline/supervision/pool/pool.ts'
import type { Recordings } from '../recording/recordings.ts'
import type { PlacementFeed } from '../remote/livekit/placement-feed.ts'
import type { LiveKitRooms } from '../remote/livekit/rooms.ts'
import type { Pulls } from '../remote/pull/pulls.ts'
import type { Pushes } from '../remote/push/pushes.ts'
import type { StreamRegistry } from '../stream/registry.ts'
import type { RemoteStreams } from '../stream/remote/streams.ts'
import type { TestPatterns } from '../stream/test-patterns.ts'
import type { RequestSpans } from '../tracing/requests.ts'
import type { TrickleServer } from '../trickle/server/server.ts'
import type { DeliveryCounts } from '../webhooks/delivery.ts'
import { allowedMethods } from './guards/allowed-methods.ts'
import { type Access, guardsFor, ownNamesOnly } from './guards/auth.ts'
import { bodyDeadline, smallBodies } from './guards/limits.ts'
import { forwardedPrefix, type TrustedProxies } from './guards/proxies.ts'
import { sessionLimit } from './guards/rate-limit.ts'
import { readLimit } from './guards/read-limit.ts'
import { responseHeaders } from './guards/response-headers.ts'
import { closeUnread } from './guards/unread-body.ts'
import type { EventLoopWatch } from './metrics/event-loop.ts'
import { metricsRoutes } from './metrics/metrics.ts'
import { readinessOf } from './metrics/readiness.ts'
import { RequestCounts } from './metrics/request-counts.ts'
import { docsRoutes } from './routes/docs.ts'
import { ingestRoutes } from './routes/ingest.ts'
import { outRoutes } from './routes/out.ts'
import { pipelineRoutes } from './routes/pipelines.ts'
import { placementRoutes } from './routes/placements.ts'
import { recordingRoutes } from './routes/recordings.ts'
import { outputRoutes } from './routes/remote/outputs.ts'
import { remoteStreamRoutes } from './routes/remote/streams.ts'
import { type ServiceInfo, serviceRoutes } from './routes/service.ts'
import { signallingRoutes } from './routes/signalling.ts'
import { streamEventRoutes } from './routes/stream-events.ts'
import { streamRoutes } from './routes/streams.ts'
import { testPatternRoutes } from './routes/test-patterns.ts'
import { trickleRoutes } from './routes/trickle.ts'
import { type WebRtc, whepEndpoint, whipEndpoint } from './routes/webrtc.ts'
import { errorOf, problemResponse } from './status.ts'
import { tracedChanges } from './traced-changes.ts'
import { vendorRoutes } from './vendor.ts'

export type AppOptions = {
  registry: StreamRegistry
  catalog: Catalog
  pool: PipelinePool
  trickle: TrickleServer
  testPatterns: TestPatterns
  remotes: RemoteStreams
  pulls: Pulls
  pushes: Pushes
  livekit: LiveKitRooms
  placements: PlacementFeed
  recordings: Recordings
  urlGuard: UrlGuard
  webrtc: WebRtc
  access: Access
  /** Limit per address; 0 is no limit. */
  maxSessionsPerMinute: number
  /** Limit of a body with params. */
  maxBodyBytes: number
  /** Limit of endless responses and long polls per address at once; 0 is no limit. */
  maxReadsPerAddress: number
  proxies: TrustedProxies
  info: ServiceInfo
  eventLoop: EventLoopWatch
  /** Counters of webhook deliveries, if webhooks are configured. */
  webhooks?: DeliveryCounts
  /** Spans of requests that change something, if tracing is configured. */
  spans?: RequestSpans
  /** Folder of the page's files. */
  publicDir: string
  /** Routes of another network's API, with their own error format; `control` guards those that control streams. */
  foreign(control: MiddlewareHandler): OpenAPIHono
  log: Log
}

const BODY_MS = 15_000

/** All routes of the server. */
export function createApp(options: AppOptions): OpenAPIHono<{ Bindings: HttpBindings }> {
  const { registry, access, eventLoop, info, log } = options
  const app = new OpenAPIHono<{ Bindings: HttpBindings }>()
  const guards = guardsFor(access, options.proxies)
  const { control, view } = guards
  const { proxies, maxBodyBytes } = options
  const webrtc = { ...options.webrtc, maxBodyBytes }
  const requests = new RequestCounts()
  const sessions = sessionLimit(options.maxSessionsPerMinute, options.proxies)
  const reads = readLimit(options.maxReadsPerAddress, options.proxies)

  app.onError((thrown, c) => {
    const { incoming } = c.env
    const left = incoming.destroyed && !incoming.complete
    const error = left ? new AppError('peer-failed', 'the client left', { cause: thrown }) : errorOf(thrown)
    if (error.code === 'internal') {
      const requestId = c.env.outgoing.getHeader('x-request-id')
      log.error({ err: error.cause ?? error, path: c.req.path, requestId }, 'request failed')
    }
    return problemResponse(c, error)
  })
  let methodsAt: ((path: string) => string[]) | undefined
  app.notFound((c) => {
    methodsAt ??= allowedMethods(app.routes)
    const { method, path } = c.req
    const methods = methodsAt(path)
    if (methods.length === 0) return problemResponse(c, new AppError('not-found', `there is nothing at ${path}`))
    c.header('allow', methods.join(', '))
    const message = `${method} is not possible here; ${methods.join(', ')} ${methods.length > 1 ? 'are' : 'is'}`
    return problemResponse(c, new AppError('invalid-request', message), 405)
  })

  app.use(closeUnread())
  app.use(requests.middleware())
  if (options.spans) app.use(tracedChanges(options.spans))
  app.use(responseHeaders(access))
  app.use(ownNamesOnly(access))
  app.use(forwardedPrefix(options.proxies))
  for (const path of ['/ingest/:stream', '/whip/:stream', '/whep/:stream', '/test-pattern/:stream', '/streams']) {
    app.on(['POST', 'PUT'], path, sessions)
  }

  for (const path of ['/trickle/*', '/out/*', '/recordings/*', '/streams/:stream/events']) app.get(path, reads)

  // These write to the socket themselves, so no middleware below may change their responses.
  app.use('/trickle/*', async (c, next) => {
    const guard = c.req.method === 'GET' ? view : control
    return await guard(c, next)
  })
  app.route('/', trickleRoutes(options.trickle))
  app.use('/ingest/*', control)
  app.route('/', ingestRoutes(registry))
  app.use('/out/*', view)
  app.route('/', outRoutes(registry))

  app.use('/placements', control)
  app.route('/', placementRoutes(options.placements))

  app.use(bodyDeadline(BODY_MS))
  app.route('/', signallingRoutes({ ...whepEndpoint(registry, webrtc, guards), proxies }))
  app.route('/', signallingRoutes({ ...whipEndpoint(registry, webrtc, guards), proxies }))

  app.use(smallBodies(options.maxBodyBytes))
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
  app.route('/', remoteStreamRoutes({ ...options, guard: options.urlGuard }))
  app.route('/', outputRoutes(options.pushes, registry))
  app.use('/recordings/*', view)
  app.route('/', recordingRoutes(options.recordings))
  app.use('/pipelines/*', view)
  app.route('/', pipelineRoutes(options.catalog, options.pool))
  app.route('/', testPatternRoutes(options.testPatterns))
  app.use('/metrics', view)
  app.route('/', serviceRoutes(registry, eventLoop))
  app.route(
    '/',
    metricsRoutes({
      streams: () => registry.streams.map((stream) => stream.status()),
      outputs: () => options.pushes.all(),
      server: () => {
        const readiness = readinessOf(registry, eventLoop)
        const { trickle, webhooks } = options
        return { info, readiness, trickle, eventLoop, requests, webhooks }
      },
    }),
  )
  app.route('/', docsRoutes({ app, version: info.version, publicDir: options.publicDir }))
  app.route('/', vendorRoutes())
  app.get('*', serveStatic({ root: options.publicDir }))
  return app
}
