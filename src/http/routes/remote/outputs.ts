import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import { AppError } from '../../../core/errors.ts'
import { typeOfUrl } from '../../../ffmpeg/remote/arguments.ts'
import type { PushTarget } from '../../../remote/push/output.ts'
import type { Pushes } from '../../../remote/push/pushes.ts'
import type { StreamRegistry } from '../../../stream/registry.ts'
import { describedRoutes, needs, ok, problem, StreamName, streamParam } from '../../openapi/describe.ts'
import { OutputSchema, RemoteOutputSchema } from '../../openapi/remote.ts'

const start = createRoute({
  method: 'post',
  path: '/streams/{stream}/outputs',
  operationId: 'startOutput',
  tags: ['Out'],
  summary: 'Push the output of a stream to another server',
  description:
    'By RTMP, SRT, RTSP or WHIP to a media server, or to a trickle channel, until the output or the stream ends. The response ' +
    'comes before the target is connected; a lost target is reconnected with growing delays.',
  security: needs.authToken,
  request: {
    params: streamParam,
    body: { content: { 'application/json': { schema: RemoteOutputSchema } }, required: true },
  },
  responses: {
    201: { ...ok('It is starting.', OutputSchema), headers: z.object({ Location: z.string() }) },
    400: problem('Invalid stream name, or a URL that is not allowed.'),
    404: problem('No such stream.'),
    413: problem('The body is longer than MAX_BODY_BYTES.'),
    503: problem('The stream has the maximum number of outputs.'),
  },
})
const list = createRoute({
  method: 'get',
  path: '/streams/{stream}/outputs',
  operationId: 'listOutputs',
  tags: ['Out'],
  summary: 'List the outputs of a stream',
  security: needs.viewToken,
  request: { params: streamParam },
  responses: {
    200: ok('Oldest first.', z.array(OutputSchema)),
    400: problem('Invalid stream name.'),
    404: problem('No such stream.'),
  },
})
const end = createRoute({
  method: 'delete',
  path: '/streams/{stream}/outputs/{id}',
  operationId: 'endOutput',
  tags: ['Out'],
  summary: 'End an output',
  security: needs.authToken,
  request: {
    params: z.object({
      stream: StreamName,
      id: z.string().openapi({ param: { name: 'id', in: 'path' }, example: '3f9a1c0be412' }),
    }),
  },
  responses: {
    200: ok('It has ended.', OutputSchema),
    400: problem('Invalid stream name.'),
    404: problem('No such output.'),
  },
})

/** Push targets of a stream's output. */
export function outputRoutes(pushes: Pushes, registry: StreamRegistry): OpenAPIHono {
  const app = describedRoutes()
  app.openapi(start, async (c) => {
    const { name } = registry.get(c.req.valid('param').stream)
    const output = await pushes.check(targetOf(c.req.valid('json')), 'url')
    const status = pushes.begin(name, output)
    // Relative to this route, because a proxy may strip a path prefix.
    c.header('location', `outputs/${status.id}`)
    return c.json(status as z.infer<typeof OutputSchema>, 201)
  })
  app.openapi(list, (c) => {
    const { name } = registry.get(c.req.valid('param').stream)
    return c.json(pushes.of(name) as z.infer<typeof OutputSchema>[], 200)
  })
  app.openapi(end, async (c) => {
    const { stream, id } = c.req.valid('param')
    return c.json((await pushes.end(stream, id)) as z.infer<typeof OutputSchema>, 200)
  })
  return app
}

/** Derives the type from the URL if none is given. @throws AppError `invalid-request` for an invalid combination. */
export function targetOf(
  { type, url, token, silence }: z.infer<typeof RemoteOutputSchema>,
  at: string[] = [],
): PushTarget {
  const known = type ?? typeOfUrl(url)
  if (!known) {
    throw wrong([...at, 'type'], 'must be rtmp, srt, rtsp, whip or trickle; only rtmp://, srt:// and rtsp:// say it')
  }
  if (silence && known !== 'rtmp') throw wrong([...at, 'silence'], 'is for RTMP only')
  return { type: known, url, ...(token !== undefined && { token }), ...(silence && { silence }) }
}

function wrong(path: string[], message: string): AppError {
  return new AppError('invalid-request', `${path.at(-1)} ${message}`, { issues: [{ path, message }] })
}
