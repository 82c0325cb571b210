import { OpenAPIHono } from '@hono/zod-openapi'
import type { MiddlewareHandler } from 'hono'
import type { StreamRegistry } from '../stream/registry.ts'
import { describeRunner } from './describe.ts'
import type { Gpus } from './gpus.ts'
import { type RunnerRoutesOptions, runnerRoutes } from './runner/routes.ts'
import { type RunnerInfo, serviceRoutes } from './service-routes.ts'

export type LivepeerRoutesOptions = Omit<RunnerRoutesOptions, 'guard' | 'pipeline'> & {
  registry: StreamRegistry
  info: RunnerInfo
  gpus: Gpus
}

/** All routes that the Livepeer network requires of a runner; `guard` protects those that start and control streams. */
export function livepeerRoutes(options: LivepeerRoutesOptions, guard: MiddlewareHandler): OpenAPIHono {
  const { registry, info, gpus } = options
  const app = new OpenAPIHono()
  app.route('/', runnerRoutes({ ...options, pipeline: info.pipeline, guard }))
  app.route('/', serviceRoutes(registry, info, gpus))
  describeRunner(app.openAPIRegistry)
  return app
}
