import { randomUUID } from 'node:crypto'
import type { HttpBindings } from '@hono/node-server'
import { serveStatic } from '@hono/node-server/serve-static'
import { OpenAPIHono } from '@hono/zod-openapi'
import type { MiddlewareHandler } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import { cors } from 'hono/cors'
import { secureHeaders } from 'hono/secure-headers'
import { AppError } from '../core/errors.ts'
import type { Log } from '../core/log.ts'
import type { Catalog } from '../pipeline/catalog.ts'
import type { PipelinePool } from '../pipeline/pool.ts'
import type { StreamRegistry } from '../stream/registry.ts'
import type { TestPictures } from '../stream/test-pictures.ts'
import type { TrickleServer } from '../trickle/server.ts'
import { requireToken, type Tokens } from './auth.ts'
import { ingestRoutes } from './ingest.ts'
import { outRoutes } from './out.ts'
import { pipelineRoutes } from './pipelines.ts'
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
  webrtc: WebRtc
  tokens: Tokens
  info: ServiceInfo
  /** Folder of the page. */
  publicDir: string
  log: Log
}

const MAX_BODY_BYTES = 256 * 1024

/** Every route of the server. */
export function createApp(options: AppOptions): OpenAPIHono<{ Bindings: HttpBindings }> {
  const { registry, tokens, log } = options
  const app = new OpenAPIHono<{ Bindings: HttpBindings }>()
  const control = requireToken(tokens.authToken)
  const view = requireToken(tokens.viewToken, tokens.viewToken && tokens.authToken)

  app.onError((thrown, c) => {
    const error = errorOf(thrown)
    if (error.code === 'internal') log.error({ err: error.cause ?? error, path: c.req.path }, 'request failed')
    return problemResponse(c, error)
  })
  app.notFound((c) =>
    problemResponse(c, new AppError('not-found', `there is nothing at ${c.req.method} ${c.req.path}`)),
  )

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

  app.use(async (c, next) => {
    await next()
    c.header('x-request-id', c.req.header('x-request-id')?.slice(0, 64) ?? randomUUID())
  })
  app.use(secureHeaders({ crossOriginResourcePolicy: false, crossOriginOpenerPolicy: false }))
  app.route('/', signallingRoutes(whepEndpoint(registry, options.webrtc, view)))
  app.route('/', signallingRoutes(whipEndpoint(registry, options.webrtc, control)))

  app.use(smallBodies)
  app.use('/streams/*', cors())
  app.use('/streams/*', async (c, next) => {
    const reading = c.req.method === 'GET' || c.req.method === 'HEAD'
    return await (reading ? view : control)(c, next)
  })
  app.use('/params', control)
  app.use('/test-picture/*', control)
  app.route('/', streamEventRoutes(registry))
  app.route('/', streamRoutes(registry))
  app.route('/', pipelineRoutes(options.catalog, options.pool))
  app.route('/', testPictureRoutes(options.testPictures))
  app.route('/', serviceRoutes(registry, options.info))
  app.get('*', serveStatic({ root: options.publicDir }))
  return app
}

const smallBodies: MiddlewareHandler = bodyLimit({
  maxSize: MAX_BODY_BYTES,
  onError: () => {
    throw new AppError('invalid-request', `the body is larger than ${MAX_BODY_BYTES} bytes`)
  },
})
