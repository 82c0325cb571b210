import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import { AppError } from '../../core/errors.ts'
import type { LiveStream } from '../../stream/live-stream.ts'
import type { StreamRegistry } from '../../stream/registry.ts'
import { describedRoutes, needs, ok, problem, streamParam } from '../openapi/describe.ts'
import { Params, ParamsAnswer, Status } from '../openapi/schemas.ts'

const paramsAnswers = {
  200: ok('Applied.', ParamsAnswer),
  202: ok('Accepted while the pipeline loads; it starts with these.', ParamsAnswer),
  404: problem('No such stream.'),
  409: problem('Needs a new stream, or the stream has no pipeline yet.'),
  422: problem('Rejected, field by field; the old params are still in force.'),
}

const list = createRoute({
  method: 'get',
  path: '/streams',
  operationId: 'listStreams',
  tags: ['Streams'],
  summary: 'Every stream of the server',
  security: needs.viewToken,
  responses: { 200: ok('Every stream of the server.', z.array(Status)) },
})
const show = createRoute({
  method: 'get',
  path: '/streams/{stream}',
  operationId: 'getStream',
  tags: ['Streams'],
  summary: 'Status of a stream',
  security: needs.viewToken,
  request: { params: streamParam },
  responses: { 200: ok('Its status.', Status), 404: problem('No such stream.') },
})
const remove = createRoute({
  method: 'delete',
  path: '/streams/{stream}',
  operationId: 'endStream',
  tags: ['Streams'],
  summary: 'End a stream',
  security: needs.authToken,
  request: { params: streamParam },
  responses: {
    200: ok('Ended.', z.object({ name: z.string(), ended: z.literal(true) })),
    404: problem('No such stream.'),
  },
})
const getParams = createRoute({
  method: 'get',
  path: '/streams/{stream}/params',
  operationId: 'getParams',
  tags: ['Streams'],
  summary: 'The params in force',
  security: needs.viewToken,
  request: { params: streamParam },
  responses: {
    200: ok('The params in force.', ParamsAnswer),
    404: problem('No such stream.'),
    409: problem('No pipeline yet.'),
  },
})
const putParams = createRoute({
  method: 'put',
  path: '/streams/{stream}/params',
  operationId: 'replaceParams',
  tags: ['Streams'],
  summary: 'Replace the params; missing ones return to their defaults',
  security: needs.authToken,
  request: { params: streamParam, body: { content: { 'application/json': { schema: Params } }, required: true } },
  responses: paramsAnswers,
})
const patchParams = createRoute({
  method: 'patch',
  path: '/streams/{stream}/params',
  operationId: 'mergeParams',
  tags: ['Streams'],
  summary: 'Merge into the params (RFC 7396)',
  security: needs.authToken,
  request: {
    params: streamParam,
    body: {
      content: { 'application/merge-patch+json': { schema: Params }, 'application/json': { schema: Params } },
      required: true,
    },
  },
  responses: paramsAnswers,
})
const postParams = createRoute({
  method: 'post',
  path: '/params',
  operationId: 'mergeOnlyParams',
  tags: ['Streams'],
  summary: 'Merge into the params of the only stream, or of the one that is named',
  security: needs.authToken,
  request: {
    query: z.object({ stream: z.string().optional().openapi({ example: 'demo' }) }),
    body: { content: { 'application/json': { schema: Params } }, required: true },
  },
  responses: paramsAnswers,
})

/** Streams: list, status, stop; their params: read, replace, merge. */
export function streamRoutes(registry: StreamRegistry): OpenAPIHono {
  const app = describedRoutes()

  app.openapi(list, (c) =>
    c.json(
      registry.streams.map((stream) => stream.status() as z.infer<typeof Status>),
      200,
    ),
  )
  app.openapi(show, (c) => c.json(registry.get(c.req.param('stream')).status() as z.infer<typeof Status>, 200))
  app.openapi(remove, async (c) => {
    const stream = registry.get(c.req.param('stream'))
    await stream.close()
    return c.json({ name: stream.name, ended: true as const }, 200)
  })

  app.openapi(getParams, (c) => {
    const stream = registry.get(c.req.param('stream'))
    return c.json({ stream: stream.name, ...stream.params }, 200)
  })
  app.openapi(putParams, async (c) => {
    const { answer, status } = await update(
      registry.get(c.req.param('stream')),
      'replace',
      objectBody(await c.req.text()),
    )
    return c.json(answer, status)
  })
  app.openapi(patchParams, async (c) => {
    const { answer, status } = await update(
      registry.get(c.req.param('stream')),
      'merge',
      objectBody(await c.req.text()),
    )
    return c.json(answer, status)
  })
  app.openapi(postParams, async (c) => {
    const { answer, status } = await update(
      onlyStream(registry, c.req.query('stream')),
      'merge',
      objectBody(await c.req.text()),
    )
    return c.json(answer, status)
  })
  return app
}

async function update(stream: LiveStream, mode: 'merge' | 'replace', value: Record<string, unknown>) {
  const { status, revision, hash, params } = await stream.updateParams(mode, value)
  const answer = { stream: stream.name, pipeline: stream.params.pipeline, revision, hash, params }
  return { answer, status: status === 'applied' ? (200 as const) : (202 as const) }
}

/** The stream that is named, or else the only one there is. */
function onlyStream(registry: StreamRegistry, name: string | undefined): LiveStream {
  if (name !== undefined) return registry.get(name)
  const [first, ...others] = registry.streams
  if (!first) throw new AppError('not-found', 'no stream is running')
  if (others.length > 0) {
    const names = registry.streams.map((stream) => stream.name)
    throw new AppError(
      'conflict',
      `${names.length} streams are running: name one with ?stream=, of ${names.join(', ')}`,
    )
  }
  return first
}

function objectBody(text: string): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new AppError('invalid-request', `the body is not JSON: ${(cause as Error).message}`, { cause })
  }
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    throw new AppError('invalid-request', 'the body must be a JSON object of params, such as {"effect":"invert"}')
  }
  return value as Record<string, unknown>
}
