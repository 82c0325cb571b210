import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { createAdaptorServer } from '@hono/node-server'
import type { Config } from './config.ts'
import { AppError } from './core/errors.ts'
import { type Context, type Resource, Scope } from './core/resource.ts'
import { UrlGuard } from './core/url-guard.ts'
import { drain } from './drain.ts'
import { findFfmpeg } from './ffmpeg/probe.ts'
import { createApp } from './http/app.ts'
import { EventLoopWatch } from './http/metrics/event-loop.ts'
import { trickleHooks } from './http/routes/trickle.ts'
import { openLivepeer } from './livepeer/open.ts'
import { discoverPipelines } from './pipeline/catalog/catalog.ts'
import { openPipelinePool } from './pipeline/supervision/pool.ts'
import { StreamRegistry } from './stream/registry.ts'
import { RemoteStreams } from './stream/remote/streams.ts'
import { TestPatterns } from './stream/test-patterns.ts'
import { openTrickle, type TrickleServer } from './trickle/server/server.ts'

export interface MillraceServer extends Resource {
  /** Address of the page, without a slash at the end. */
  readonly url: string
  /** Takes no new streams from now on. Resolves when no stream has a publisher any more, or after `ms`. */
  drain(ms: number): Promise<void>
}

const folder = (path: string) => fileURLToPath(new URL(path, import.meta.url))

/**
 * The whole server, listening when it resolves.
 * @throws AppError what is wrong with the settings or the machine; nothing is left then.
 */
export async function openServer(
  config: Config,
  about: { version: string },
  context: Context,
): Promise<MillraceServer> {
  const { log } = context
  const scope = new Scope(context.signal)
  const inner: Context = { signal: scope.signal, log }
  try {
    const [ffmpeg, catalog] = await Promise.all([
      findFfmpeg({ ...(config.ffmpegPath && { path: config.ffmpegPath }), videoEncoder: config.videoEncoder, log }),
      discoverPipelines({
        builtinDir: folder('../pipelines'),
        appDir: process.cwd(),
        pipelineDir: config.pipelineDir,
        python: config.python,
      }),
    ])
    const pool = scope.use(
      await openPipelinePool(
        {
          catalog,
          defaultPipeline: config.pipeline,
          defaultParams: config.pipelineParams,
          warm: config.warmPipelines,
          modelDir: config.modelDir,
        },
        inner,
      ),
    )
    const trickle: TrickleServer = scope.use(
      openTrickle({ autocreate: true, changefeed: true, ...trickleHooks(() => registry, log) }, inner),
    )
    const registry: StreamRegistry = scope.use(
      new StreamRegistry(
        {
          ffmpeg,
          pool,
          trickle,
          bitrateKbps: config.videoBitrateKbps,
          keyframeSeconds: config.keyframeSeconds,
          maxPixels: config.maxPixels,
          maxFps: config.maxFps,
          lingerMs: config.streamLingerMs,
          maxViewers: config.maxViewers,
          maxStreams: config.maxStreams,
        },
        inner,
      ),
    )
    let url = ''
    const testPatterns = scope.use(
      new TestPatterns({ ffmpeg, registry, pool, url: () => url, authToken: config.authToken }, inner),
    )
    const { registration } = config.livepeer
    const urlGuard = new UrlGuard({
      allowed: [...config.allowedUrls, ...(registration ? [new URL(registration.orchestrator).origin] : [])],
      verifyTls: config.verifyTls,
    })
    const remotes = scope.use(new RemoteStreams({ registry, inputTimeoutMs: config.inputTimeoutMs }, inner))
    const info = { version: about.version, pipeline: config.pipeline }
    const livepeer = scope.use(
      openLivepeer(
        { ...config.livepeer, registry, remotes, guard: urlGuard, info, params: config.pipelineParams, url: () => url },
        inner,
      ),
    )
    const eventLoop = scope.use(new EventLoopWatch())
    const app = createApp({
      registry,
      catalog,
      pool,
      trickle,
      testPatterns,
      remotes,
      urlGuard,
      webrtc: {
        ice: {
          ...(config.publicIp && { publicIp: config.publicIp }),
          udpPorts: config.udpPorts,
          iceServers: config.iceServers,
        },
        context: inner,
      },
      access: config,
      maxSessionsPerMinute: config.maxSessionsPerMinute,
      info,
      eventLoop,
      publicDir: folder('../public'),
      foreign: (control) => livepeer.routes(control),
      log,
    })
    const server = createAdaptorServer({
      fetch: app.fetch,
      autoCleanupIncoming: false,
      // Bodies may be endless, and clients keep idle connections for a minute.
      serverOptions: { requestTimeout: 0, headersTimeout: 20_000, keepAliveTimeout: 75_000, noDelay: true },
    }) as Server
    scope.defer(() => closeServer(server))
    // Streams first, so that their watchers still hear how they ended.
    scope.defer(() => registry.close())
    url = await listen(server, config)
    livepeer.register()
    log.info(
      { url, pipelines: [...catalog.pipelines.keys()], encoder: ffmpeg.videoEncoder, ffmpeg: ffmpeg.version.text },
      'listening',
    )
    for (const { where, reason } of catalog.rejected) log.warn({ where, reason }, 'pipeline rejected')
    return {
      url,
      drain: (ms) => drain(registry, ms, scope.signal),
      closed: scope.closed,
      close: () => scope.close(),
      [Symbol.asyncDispose]: async () => void (await scope.close()),
    }
  } catch (thrown) {
    await scope.close()
    throw thrown
  }
}

async function listen(server: Server, config: Config): Promise<string> {
  const { host, port } = config
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const why = cause.code === 'EADDRINUSE' ? `port ${port} is taken` : cause.message
      reject(new AppError('invalid-request', `cannot listen on ${host}:${port} (HOST, PORT): ${why}`, { cause }))
    })
    server.listen(port, host, resolve)
  })
  const bound = server.address() as AddressInfo
  const shown = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host
  return `http://${shown.includes(':') ? `[${shown}]` : shown}:${bound.port}`
}

/** Lets answers that are under way finish for a moment, then closes every connection. */
function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    const cut = setTimeout(() => server.closeAllConnections(), 1000)
    server.close(() => {
      clearTimeout(cut)
      resolve()
    })
    server.closeIdleConnections()
  })
}
