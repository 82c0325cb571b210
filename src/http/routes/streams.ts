import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import { parseJsonObject } from '../../codec/json.ts'
import { AppError } from '../../core/errors.ts'
import type { LiveStream } from '../../stream/live-stream.ts'
import type { StreamRegistry } from '../../stream/registry.ts'
import { describedRoutes, needs, ok, problem, STREAM_NAME, streamParam } from '../openapi/describe.ts'
import { History, Params, ParamsAnswer, PipelineChange, Status } from '../openapi/schemas.ts'
import { updateParams } from '../params/answer.ts'
import { errorOf, problemResponse } from '../status.ts'

const paramsAnswers = {
  200: ok('Applied.', ParamsAnswer),
  202: ok('Accepted while the pipeline loads; it starts with these.', ParamsAnswer),
  400: problem('Invalid stream name, or a body that is not a JSON object.'),
  404: problem('No such stream.'),
  409: problem('Needs a new stream, or the stream has no pipeline yet.'),
  413: problem('The body is longer than MAX_BODY_BYTES.'),
  422: problem('Rejected, field by field; the old params are still in force.'),
}

const list = createRoute({
  method: 'get',
  path: '/streams',
  operationId: 'listStreams',
  tags: ['Streams'],
  summary: 'List streams',
  security: needs.viewToken,
  responses: { 200: ok('List streams.', z.array(Status)) },
})
const show = createRoute({
  method: 'get',
  path: '/streams/{stream}',
  operationId: 'getStream',
  tags: ['Streams'],
  summary: 'Get the status of a stream',
  security: needs.viewToken,
  request: { params: streamParam },
  responses: { 200: ok('Its status.', Status), 400: problem('Invalid stream name.'), 404: problem('No such stream.') },
})
const history = createRoute({
  method: 'get',
  path: '/streams/{stream}/history',
  operationId: 'getStreamHistory',
  tags: ['Streams'],
  summary: 'Get the last five minutes of a stream, one sample per second',
  security: needs.viewToken,
  request: { params: streamParam },
  responses: {
    200: ok('The recorded samples.', History),
    400: problem('Invalid stream name.'),
    404: problem('No such stream.'),
  },
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
    400: problem('Invalid stream name.'),
    404: problem('No such stream.'),
  },
})
const putPipeline = createRoute({
  method: 'put',
  path: '/streams/{stream}/pipeline',
  operationId: 'replacePipeline',
  tags: ['Streams'],
  summary: 'Switch to another pipeline between two frames',
  description:
    'The new pipeline loads and gets frames while the old one is on air, and takes over with its first output: no frame ' +
    'is dropped and no overlay shown. Naming the running pipeline reloads its code, and keeps the params that are still ' +
    'valid unless others are given.',
  security: needs.authToken,
  request: {
    params: streamParam,
    body: { content: { 'application/json': { schema: PipelineChange } }, required: true },
  },
  responses: {
    200: ok('The new pipeline has output its first frame.', ParamsAnswer),
    400: problem('Invalid stream name or body.'),
    404: problem('No such stream, or no such pipeline; the old one is on air.'),
    409: problem('The stream has no pipeline yet, or a later change replaced this one.'),
    413: problem('The body is longer than MAX_BODY_BYTES.'),
    422: problem('The params were rejected, or the new one failed, with the reason; the old one is on air.'),
  },
})
const getParams = createRoute({
  method: 'get',
  path: '/streams/{stream}/params',
  operationId: 'getParams',
  tags: ['Streams'],
  summary: 'Get the current params',
  security: needs.viewToken,
  request: { params: streamParam },
  responses: {
    200: ok('The params in force.', ParamsAnswer),
    400: problem('Invalid stream name.'),
    404: problem('No such stream.'),
    409: problem('No pipeline yet.'),
  },
})
const putParams = createRoute({
  method: 'put',
  path: '/streams/{stream}/params',
  operationId: 'replaceParams',
  tags: ['Streams'],
  summary: 'Replace the params; omitted ones return to their defaults',
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
  summary: 'Merge into the params of the only stream, or of the named one',
  security: needs.authToken,
  request: {
    query: z.object({ stream: z.string().optional().openapi({ pattern: STREAM_NAME, example: 'demo' }) }),
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
  app.openapi(history, (c) =>
    c.json(registry.get(c.req.param('stream')).history.report() as z.infer<typeof History>, 200),
  )
  app.openapi(remove, async (c) => {
    const stream = registry.get(c.req.param('stream'))
    await stream.close()
    return c.json({ name: stream.name, ended: true as const }, 200)
  })

  app.openapi(putPipeline, async (c) => {
    const stream = registry.get(c.req.param('stream'))
    const { pipeline, params } = PipelineChange.parse(parseJsonObject(await c.req.text(), 'the body', 'params'))
    try {
      const { ignored, ...state } = await stream.swapPipeline(pipeline, { ...(params && { params }) })
      return c.json({ stream: stream.name, ...state, ...(ignored.length > 0 && { ignored }) }, 200)
    } catch (thrown) {
      const error = errorOf(thrown)
      // Neither the server nor the stream failed; the requested change does not work.
      if (error.code === 'pipeline-failed' || error.code === 'timeout') return problemResponse(c, error, 422) as never
      throw thrown
    }
  })

  app.openapi(getParams, (c) => {
    const stream = registry.get(c.req.param('stream'))
    return c.json({ stream: stream.name, ...stream.params }, 200)
  })
  app.openapi(putParams, async (c) => {
    const { answer, status } = await updateParams(
      registry.get(c.req.param('stream')),
      'replace',
      parseJsonObject(await c.req.text(), 'the body'),
    )
    return c.json(answer, status)
  })
  app.openapi(patchParams, async (c) => {
    const { answer, status } = await updateParams(
      registry.get(c.req.param('stream')),
      'merge',
      parseJsonObject(await c.req.text(), 'the body'),
    )
    return c.json(answer, status)
  })
  app.openapi(postParams, async (c) => {
    const { answer, status } = await updateParams(
      onlyStream(registry, c.req.query('stream')),
      'merge',
      parseJsonObject(await c.req.text(), 'the body'),
    )
    return c.json(answer, status)
  })
  return app
}

/** The named stream, or else the only one. */
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
