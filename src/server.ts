import { randomBytes } from 'node:crypto'
import { createServer, type RequestListener, type Server, type ServerOptions } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createAdaptorServer } from '@hono/node-server'
import type { Config } from './config.ts'
import { AppError } from './core/errors.ts'
import { type Context, type Resource, Scope } from './core/resource.ts'
import { UrlGuard } from './core/url-guard.ts'
import { drain } from './drain.ts'
import { findFfmpeg } from './ffmpeg/probe.ts'
import { createApp } from './http/app.ts'
import type { Access } from './http/guards/auth.ts'
import { AuthUrl } from './http/guards/auth-url.ts'
import { JwtVerifier } from './http/guards/jwt.ts'
import { fewUnanswered } from './http/guards/pipelining.ts'
import { TrustedProxies } from './http/guards/proxies.ts'
import { EventLoopWatch } from './http/metrics/event-loop.ts'
import { trickleHooks } from './http/routes/trickle.ts'
import { openLivepeer } from './livepeer/open.ts'
import { discoverPipelines } from './pipeline/catalog/catalog.ts'
import type { PipelineEntry } from './pipeline/catalog/entry.ts'
import { openPipelinePool } from './pipeline/supervision/pool/pool.ts'
import { RecordingFolder } from './recording/folder.ts'
import { Recordings } from './recording/recordings.ts'
import { PlacementFeed } from './remote/livekit/placement-feed.ts'
import { LiveKitRooms } from './remote/livekit/rooms.ts'
import { Pulls } from './remote/pull/pulls.ts'
import { Pushes } from './remote/push/pushes.ts'
import { StreamRegistry } from './stream/registry.ts'
import { RemoteStreams } from './stream/remote/streams.ts'
import { TestPatterns } from './stream/test-patterns.ts'
import type { Tracing } from './tracing/open.ts'
import { openTrickle, type TrickleServer } from './trickle/server/server.ts'
import { Delivery } from './webhooks/delivery.ts'
import { tellWebhooks } from './webhooks/webhooks.ts'
import { DEFAULT_PORT, type IcePort, openSharedPort } from './webrtc/ice/port.ts'
import { withTurnCredentials } from './webrtc/ice/turn.ts'

export interface MillraceServer extends Resource {
  /** Address of the page, without a trailing slash. */
  readonly url: string
  readonly streams: StreamRegistry
  /** Takes no new streams from now on. Resolves when no stream has a publisher any more, or after `ms`. */
  drain(ms: number): Promise<void>
}

/** Time limits of a media server: until media flows, and then without data. */
const REMOTE_OPEN_MS = 15_000
const REMOTE_STALL_MS = 10_000

const folder = (path: string) => fileURLToPath(new URL(path, import.meta.url))

/**
 * The complete server, listening when it resolves.
 * @throws AppError with what is wrong with the settings or the machine; nothing is left then.
 */
export async function openServer(
  config: Config,
  about: { version: string; own?: PipelineEntry[] },
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
        ...(about.own && { own: about.own }),
      }),
    ])
    const sharedPort = config.udpPorts ? undefined : scope.use(await openWebRtcPort(config.udpPort, log))
    const pool = scope.use(
      await openPipelinePool(
        {
          catalog,
          defaultPipeline: config.pipeline,
          defaultParams: config.pipelineParams,
          warm: config.warmPipelines,
          modelDir: config.modelDir,
          descriptionDir: join(config.pipelineDir, '.descriptions'),
        },
        inner,
      ),
    )
    if (Object.keys(config.pipelineParams).length > 0) await pool.checkDefaults()
    const trickle: TrickleServer = scope.use(
      openTrickle(
        {
          autocreate: true,
          changefeed: true,
          memoryBytes: config.trickleBytes,
          // A stream has its own channel and four more.
          maxChannels: 1024 + 5 * (config.maxStreams + config.maxWaitingStreams),
          ...trickleHooks(() => registry, log),
        },
        inner,
      ),
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
          maxWaitingStreams: config.maxWaitingStreams,
          maxBodyBytes: config.maxBodyBytes,
        },
        inner,
      ),
    )
    let url = ''
    const access = accessOf(config, log)
    const testPatterns = scope.use(
      new TestPatterns(
        { ffmpeg, registry, pool, url: () => url, authToken: config.authToken ?? access.ownToken },
        inner,
      ),
    )
    const { registration } = config.livepeer
    const urlGuard = new UrlGuard({
      allowed: [...config.allowedUrls, ...(registration ? [new URL(registration.orchestrator).origin] : [])],
      verifyTls: config.verifyTls,
      verifyMediaTls: config.verifyMediaTls,
    })
    const remotes = scope.use(new RemoteStreams({ registry, inputTimeoutMs: config.inputTimeoutMs }, inner))
    const { inputTimeoutMs } = config
    const ice = {
      ...(config.publicIp && { publicIp: config.publicIp }),
      ...(sharedPort && { sharedPort }),
      ...(config.udpPorts && { udpPorts: config.udpPorts }),
    }
    const patience = {
      openTimeoutMs: Math.min(inputTimeoutMs, REMOTE_OPEN_MS),
      stallMs: Math.min(inputTimeoutMs, REMOTE_STALL_MS),
    }
    const pulls = scope.use(new Pulls({ registry, guard: urlGuard, ffmpeg, ice, ...patience }, inner))
    const pushes = scope.use(new Pushes({ registry, guard: urlGuard, ffmpeg, ice, ...patience }, inner))
    const livekit = new LiveKitRooms(
      { config: config.livekit, ice, goneMs: 2 * config.streamLingerMs, registry, pulls, pushes },
      inner,
    )
    const placements = scope.use(new PlacementFeed({ registry, rooms: livekit, pushes }, inner))
    const info = { version: about.version, pipeline: config.pipeline }
    const livepeer = scope.use(
      openLivepeer(
        { ...config.livepeer, registry, remotes, guard: urlGuard, info, params: config.pipelineParams, url: () => url },
        inner,
      ),
    )
    const { folder: recordDir, maxBytes, minFreeBytes, ...record } = config.record
    const recordings = scope.use(
      new Recordings(
        {
          ...record,
          registry,
          ffmpeg: ffmpeg.path,
          folder: new RecordingFolder(recordDir, { maxBytes, minFreeBytes }),
        },
        inner,
      ),
    )
    const webhooks = config.webhook && scope.use(new Delivery(config.webhook, { log }))
    if (webhooks) scope.defer(tellWebhooks(registry, webhooks))
    const tracing = await tracingOf(config, about.version, registry, inner)
    if (tracing) scope.use(tracing)
    const eventLoop = scope.use(new EventLoopWatch())
    const app = createApp({
      registry,
      catalog,
      pool,
      trickle,
      testPatterns,
      remotes,
      pulls,
      pushes,
      livekit,
      placements,
      recordings,
      urlGuard,
      webrtc: {
        ice,
        iceServers: () => withTurnCredentials(config.iceServers, config.turnSecret),
        context: inner,
      },
      access,
      maxSessionsPerMinute: config.maxSessionsPerMinute,
      maxBodyBytes: config.maxBodyBytes,
      maxReadsPerAddress: config.maxReadsPerAddress,
      proxies: new TrustedProxies(config.trustProxy),
      info,
      eventLoop,
      ...(webhooks && { webhooks: webhooks.counts }),
      ...(tracing && { spans: tracing.requests }),
      publicDir: folder('../public'),
      foreign: (control) => livepeer.routes(control),
      log,
    })
    const server = createAdaptorServer({
      fetch: app.fetch,
      createServer: ((settings: ServerOptions, answer?: RequestListener) =>
        createServer(settings, answer && fewUnanswered(answer))) as typeof createServer,
      autoCleanupIncoming: false,
      // Bodies may be endless, and clients keep idle connections for a minute.
      serverOptions: {
        requestTimeout: 0,
        headersTimeout: 20_000,
        connectionsCheckingInterval: 5000,
        keepAliveTimeout: 75_000,
        noDelay: true,
      },
    }) as Server
    scope.defer(() => closeServer(server))
    // Streams first, so that subscribers still get their end.
    scope.defer(() => registry.close())
    url = await listen(server, config)
    livepeer.register()
    log.info(
      {
        url,
        udpPort: sharedPort?.port ?? config.udpPorts,
        pipelines: [...catalog.pipelines.keys()],
        encoder: ffmpeg.videoEncoder,
        ffmpeg: ffmpeg.version.text,
      },
      'listening',
    )
    for (const { where, reason } of catalog.rejected) log.warn({ where, reason }, 'pipeline rejected')
    return {
      url,
      streams: registry,
      drain: (ms) => drain({ registry, handed: () => placements.handed }, ms, scope.signal),
      closed: scope.closed,
      close: () => scope.close(),
      [Symbol.asyncDispose]: async () => void (await scope.close()),
    }
  } catch (thrown) {
    await scope.close()
    throw thrown
  }
}

/** Loaded only if its endpoint is set. */
async function tracingOf(
  { tracing }: Config,
  version: string,
  registry: StreamRegistry,
  context: Context,
): Promise<Tracing | undefined> {
  if (!tracing) return undefined
  const { openTracing } = await import('./tracing/open.ts')
  return openTracing({ ...tracing, version, registry }, context)
}

function accessOf(config: Config, log: Context['log']): Access {
  const { authToken, viewToken, localOnly, jwtSecret, jwksUrl, authUrl } = config
  return {
    authToken,
    viewToken,
    localOnly,
    ...((jwtSecret || jwksUrl) && { jwt: new JwtVerifier({ secret: jwtSecret, jwksUrl }) }),
    ...(authUrl && { authUrl: new AuthUrl(authUrl, log) }),
    ownToken: localOnly || config.unprotected ? undefined : randomBytes(24).toString('hex'),
  }
}

/**
 * The port of all WebRTC sessions: the configured one; otherwise the default one, or any if another server has that.
 */
async function openWebRtcPort(set: number | undefined, log: Context['log']): Promise<IcePort> {
  const wanted = set ?? DEFAULT_PORT
  const port = await openSharedPort(wanted)
  if (port) return port
  if (set !== undefined) {
    const message = `port ${set} is taken, by UDP or TCP: WebRTC needs both (UDP_PORT); 0 takes any free port`
    throw new AppError('invalid-request', message)
  }
  const other = await openSharedPort(0)
  if (!other) throw new AppError('internal', 'no port is free for WebRTC (UDP_PORT)')
  log.warn({ port: other.port }, `port ${wanted} is taken, WebRTC uses another one; set UDP_PORT to choose it`)
  return other
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

/** Gives responses in progress a moment to finish, then closes every connection. */
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
