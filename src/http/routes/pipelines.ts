import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import type { Catalog } from '../../pipeline/catalog/catalog.ts'
import { findChain } from '../../pipeline/catalog/chain-name.ts'
import type { PipelineEntry } from '../../pipeline/catalog/entry.ts'
import type { PipelinePool } from '../../pipeline/supervision/pool/pool.ts'
import { describedRoutes, needs, ok, problem } from '../openapi/describe.ts'
import { PipelineDetails, PipelineSummary } from '../openapi/schemas.ts'

const list = createRoute({
  method: 'get',
  path: '/pipelines',
  operationId: 'listPipelines',
  tags: ['Pipelines'],
  summary: 'List pipelines',
  security: needs.viewToken,
  responses: { 200: ok('All pipelines found.', z.array(PipelineSummary)) },
})
const show = createRoute({
  method: 'get',
  path: '/pipelines/{name}',
  operationId: 'getPipeline',
  tags: ['Pipelines'],
  summary: 'Get a pipeline, with the JSON Schema of its params',
  security: needs.viewToken,
  request: {
    params: z.object({ name: z.string().openapi({ param: { name: 'name', in: 'path' }, example: 'effects' }) }),
  },
  responses: {
    200: ok('The pipeline and its params.', PipelineDetails),
    404: problem('No such pipeline.'),
    502: problem('The pipeline does not start, so it cannot be described.'),
  },
})

/** Installed pipelines from their manifests; details come from the pipeline's own code, run in a separate process. */
export function pipelineRoutes(catalog: Catalog, pool: PipelinePool): OpenAPIHono {
  const app = describedRoutes()
  app.openapi(list, (c) => c.json([...catalog.pipelines.values()].map(summary), 200))
  app.openapi(show, async (c) => {
    const parts = findChain(catalog, c.req.param('name'))
    const described = await pool.describe(c.req.param('name'))
    const stages = parts.map(({ key, entry }) => ({ stage: key, ...summary(entry) }))
    if (parts.length === 1) return c.json({ ...summary(parts[0]!.entry), ...described, stages: [] }, 200)
    return c.json({ ...together(stages), ...described, stages }, 200)
  })
  return app
}

/** Combines a property of a chain's stages, joined if they differ. */
function together(stages: readonly ReturnType<typeof summary>[]) {
  const all = (read: (stage: ReturnType<typeof summary>) => string) => [...new Set(stages.map(read))].join(', ')
  const languages = new Set(stages.map(({ language }) => language))
  const language = languages.size > 1 ? ('mixed' as const) : stages[0]!.language
  return { language, package: all((stage) => stage.package), version: all((stage) => stage.version), presets: {} }
}

function summary({ name, interpreter, presets = {}, package: from }: PipelineEntry) {
  const language = interpreter ? ('python' as const) : ('typescript' as const)
  return { name, language, package: from.name, version: from.version, description: from.description ?? '', presets }
}
