import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import { type Catalog, findPipeline } from '../pipeline/catalog.ts'
import type { PipelineEntry } from '../pipeline/entry.ts'
import type { PipelinePool } from '../pipeline/pool.ts'
import { describedRoutes } from './openapi.ts'
import { PipelineDetails, PipelineSummary, ProblemSchema } from './schemas.ts'

const list = createRoute({
  method: 'get',
  path: '/pipelines',
  responses: {
    200: { description: 'What can run.', content: { 'application/json': { schema: z.array(PipelineSummary) } } },
  },
})
const show = createRoute({
  method: 'get',
  path: '/pipelines/{name}',
  request: {
    params: z.object({ name: z.string().openapi({ param: { name: 'name', in: 'path' }, example: 'effects' }) }),
  },
  responses: {
    200: {
      description: 'One pipeline, with the JSON Schema of its params.',
      content: { 'application/json': { schema: PipelineDetails } },
    },
    404: { description: 'No such pipeline.', content: { 'application/problem+json': { schema: ProblemSchema } } },
  },
})

/** What can run, read from the manifests; the details of one come from its own code, run in a process of its own. */
export function pipelineRoutes(catalog: Catalog, pool: PipelinePool): OpenAPIHono {
  const app = describedRoutes()
  app.openapi(list, (c) => c.json([...catalog.pipelines.values()].map(summary), 200))
  app.openapi(show, async (c) => {
    const entry = findPipeline(catalog, c.req.param('name'))
    const { description, params, defaults, input } = await pool.describe(entry.name)
    return c.json({ ...summary(entry), description, params, defaults, input }, 200)
  })
  return app
}

function summary({ name, package: from }: PipelineEntry) {
  return { name, package: from.name, version: from.version, description: from.description ?? '' }
}
