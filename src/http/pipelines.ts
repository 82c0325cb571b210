import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi'
import type { Catalog } from '../pipeline/catalog.ts'
import type { PipelinePool } from '../pipeline/pool.ts'
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
  const app = new OpenAPIHono()
  app.openapi(list, (c) => c.json([...catalog.pipelines.values()].map(summary), 200))
  app.openapi(show, async (c) => {
    const name = c.req.param('name')
    const description = await pool.describe(name)
    const entry = catalog.pipelines.get(name)
    return c.json(
      { ...(entry ? summary(entry) : { name, package: '', version: '', description: '' }), ...description },
      200,
    )
  })
  return app
}

function summary(entry: Catalog['pipelines'] extends Map<string, infer Entry> ? Entry : never) {
  const { name, package: from } = entry
  return { name, package: from.name, version: from.version, description: from.description ?? '' }
}
