import type { OpenAPIHono } from '@hono/zod-openapi'
import type { MiddlewareHandler } from 'hono'
import { type Context, type Resource, Scope } from '../core/resource.ts'
import type { UrlGuard } from '../core/url-guard.ts'
import type { StreamRegistry } from '../stream/registry.ts'
import type { RemoteStreams } from '../stream/remote/streams.ts'
import { Gpus } from './gpus.ts'
import { Registration } from './orchestrator/registration.ts'
import { livepeerRoutes } from './routes.ts'
import { sizeIn } from './runner/frame-size.ts'
import { LivepeerRunner } from './runner/runner.ts'
import type { RunnerInfo } from './service-routes.ts'

export type LivepeerOptions = {
  registry: StreamRegistry
  remotes: RemoteStreams
  guard: UrlGuard
  info: RunnerInfo
  /** The operator's params for the pipeline; a size in them overrides the contract's. */
  params: Record<string, unknown>
  busy: 'preempt' | 'refuse'
  statusEventMs: number
  /** Undefined: this server is not registered. */
  registration:
    | {
        orchestrator: string
        secret: string
        runnerUrl: string | undefined
        app: string
        price: { price: number; currency: string; unit: string }
      }
    | undefined
  /** URL of this server, known when it listens. */
  url(): string
}

export interface Livepeer extends Resource {
  /** `guard` protects routes that start and control streams. */
  routes(guard: MiddlewareHandler): OpenAPIHono
  /** Call when the server listens. */
  register(): void
}

const CONTRACT_SIZE = { width: 512, height: 512 }

/** This server's part in the Livepeer network: the runner's API, and the registration if configured. */
export function openLivepeer(options: LivepeerOptions, context: Context): Livepeer {
  const { registry, remotes, guard, info, params, busy, statusEventMs, url } = options
  const log = context.log.child({ part: 'livepeer' })
  const scope = new Scope(context.signal)
  const inner = { signal: scope.signal, log }
  const size = { ...CONTRACT_SIZE, ...sizeIn(info.pipeline, params) }
  const gpus = new Gpus()
  const runner = scope.use(
    new LivepeerRunner({ registry, remotes, guard, pipeline: info.pipeline, size, busy, statusEventMs }, inner),
  )
  let registration: Registration | undefined
  return {
    closed: scope.closed,
    routes: (control) =>
      livepeerRoutes({ runner, registry, info, gpus, registration: () => registration, log }, control),
    register: () => {
      if (!options.registration || scope.reason) return
      const { runnerUrl, ...rest } = options.registration
      registration = scope.use(
        new Registration(
          {
            ...rest,
            runnerUrl: runnerUrl ?? url(),
            version: info.version,
            freeStreams: () => (registry.draining ? 0 : registry.maxStreams - registry.running.length),
            gpus,
            guard,
          },
          inner,
        ),
      )
    },
    close: () => scope.close(),
    [Symbol.asyncDispose]: async () => void (await scope.close()),
  }
}
