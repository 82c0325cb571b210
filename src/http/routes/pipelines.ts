import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import { type Catalog, findPipeline } from '../../pipeline/catalog/catalog.ts'
import type { PipelineEntry } from '../../pipeline/catalog/entry.ts'
import type { PipelinePool } from '../../pipeline/supervision/pool.ts'
import { describedRoutes, needs, ok, problem } from '../openapi/describe.ts'
import { PipelineDetails, PipelineSummary } from '../openapi/schemas.ts'

const list = createRoute({
  method: 'get',
  path: '/pipelines',
  operationId: 'listPipelines',
  tags: ['Pipelines'],
  summary: 'What can run',
  security: needs.viewToken,
  responses: { 200: ok('Every pipeline that was found.', z.array(PipelineSummary)) },
})
const show = createRoute({
  method: 'get',
  path: '/pipelines/{name}',
  operationId: 'getPipeline',
  tags: ['Pipelines'],
  summary: 'One pipeline, with the JSON Schema of its params',
  security: needs.viewToken,
  request: {
    params: z.object({ name: z.string().openapi({ param: { name: 'name', in: 'path' }, example: 'effects' }) }),
  },
  responses: {
    200: ok('What it is and takes.', PipelineDetails),
    404: problem('No such pipeline.'),
    502: problem('It could not be asked; it does not start.'),
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

function summary({ name, interpreter, package: from }: PipelineEntry) {
  const language = interpreter ? ('python' as const) : ('typescript' as const)
  return { name, language, package: from.name, version: from.version, description: from.description ?? '' }
}
