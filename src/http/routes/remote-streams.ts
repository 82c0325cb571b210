import { randomBytes } from 'node:crypto'
import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import type { Target, UrlGuard } from '../../core/url-guard.ts'
import type { RemoteStreams } from '../../stream/remote/streams.ts'
import { describedRoutes, needs, problem } from '../openapi/describe.ts'
import { Params, Status } from '../openapi/schemas.ts'

const url = z.string().min(1)

const RemoteStreamRequest = z
  .strictObject({
    name: z.string().optional().describe('Generated when absent.'),
    subscribeUrl: url.describe('Trickle channel with MPEG-TS segments to read.'),
    publishUrl: url.optional().describe('Trickle channel that the output goes to; deleted when the stream ends.'),
    controlUrl: url.optional().describe('Trickle channel whose messages, JSON objects, replace the params.'),
    eventsUrl: url.optional().describe('Trickle channel where it is told what happens; deleted when the stream ends.'),
    pipeline: z.string().min(1).optional(),
    params: Params.optional(),
  })
  .openapi('RemoteStreamRequest')

const start = createRoute({
  method: 'post',
  path: '/streams',
  operationId: 'startRemoteStream',
  tags: ['In'],
  summary: 'Read from and write to trickle servers elsewhere',
  security: needs.authToken,
  request: { body: { content: { 'application/json': { schema: RemoteStreamRequest } }, required: true } },
  responses: {
    201: {
      description: 'Its channels are open; it ends when its input does.',
      content: { 'application/json': { schema: Status } },
      headers: z.object({ Location: z.string() }),
    },
    400: problem('Not the expected form, or a URL that may not be called.'),
    404: problem('No such pipeline.'),
    409: problem('The stream of that name has a publisher.'),
    422: problem('The params were rejected, field by field.'),
    502: problem('A channel could not be opened.'),
    503: problem('No stream is free.'),
  },
})

/** `POST /streams`: a stream that reads from and writes to trickle servers elsewhere. */
export function remoteStreamRoutes(remotes: RemoteStreams, guard: UrlGuard): OpenAPIHono {
  const app = describedRoutes()
  app.openapi(start, async (c) => {
    const { name = `stream-${randomBytes(4).toString('hex')}`, pipeline, params, ...urls } = c.req.valid('json')
    const check = async (field: keyof typeof urls): Promise<Target | undefined> =>
      urls[field] === undefined ? undefined : await guard.check(urls[field], field)
    const subscribe = await guard.check(urls.subscribeUrl, 'subscribeUrl')
    const [publish, control, events] = await Promise.all([check('publishUrl'), check('controlUrl'), check('eventsUrl')])
    const remote = remotes.begin({
      name,
      channels: { subscribe, ...(publish && { publish }), ...(control && { control }), ...(events && { events }) },
      ...(pipeline !== undefined && { pipeline }),
      ...(params && { params }),
    })
    await remote.started
    c.header('location', `/streams/${name}`)
    return c.json(remote.stream.status() as z.infer<typeof Status>, 201)
  })
  return app
}
