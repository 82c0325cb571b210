import { z } from '@hono/zod-openapi'
import { bytes, needs, publishQueryParams, type RouteRegistry } from './describe.ts'

const TS = 'video/mp2t'

/** The channels under `/trickle/`; docs/trickle.md tells the whole protocol. */
export function describeTrickle(registry: RouteRegistry): void {
  const channel = z.string().openapi({
    param: { name: 'channel', in: 'path' },
    example: 'demo-out',
    description: 'A stream to publish to, or with `-out`, `-events` or `-control` behind its name one of its channels.',
  })
  const seq = z.string().openapi({
    param: { name: 'seq', in: 'path' },
    example: '-1',
    description: 'Number of a segment; -1 is the next one to begin, -2 the newest begun; `next` asks for the number.',
  })
  const path = '/trickle/{channel}/{seq}'
  const plain = (description: string) => bytes(description, 'text/plain')
  const missing = plain('No such channel.')
  registry.registerPath({
    method: 'post',
    path: '/trickle/{channel}',
    operationId: 'createTrickleChannel',
    tags: ['In'],
    summary: 'Create a trickle channel',
    description: 'Not needed before publishing: the first segment creates its channel.',
    security: needs.authToken,
    request: {
      params: z.object({ channel }),
      query: publishQueryParams,
      headers: z.object({ 'Expect-Content': z.string().optional().describe('Mime type of what will be published.') }),
    },
    responses: { 200: plain('It is there.'), 400: plain('The name is not accepted.'), 503: plain('No room.') },
  })
  registry.registerPath({
    method: 'post',
    path,
    operationId: 'postTrickleSegment',
    tags: ['In'],
    summary: 'Publish a trickle segment',
    description: 'MPEG-TS for a stream, whose first segment starts it; a JSON object for its `-control` channel.',
    security: needs.authToken,
    request: {
      params: z.object({ channel, seq }),
      query: publishQueryParams,
      body: {
        required: true,
        content: { [TS]: { schema: { type: 'string' } }, 'application/json': { schema: { type: 'object' } } },
      },
    },
    responses: {
      200: plain('Written.'),
      400: plain('The number is not one, or the name is not accepted.'),
      409: plain('The stream has another publisher.'),
      413: plain('The segment is too long.'),
      503: plain('No stream is free.'),
    },
  })
  registry.registerPath({
    method: 'get',
    path,
    operationId: 'getTrickleSegment',
    tags: ['Out'],
    summary: 'Read a trickle segment, waiting for it when it is the next one',
    security: needs.viewToken,
    request: { params: z.object({ channel, seq }) },
    responses: {
      200: {
        ...bytes('The segment, as it comes.', TS),
        headers: z.object({ 'Lp-Trickle-Seq': z.string().describe('Its number.') }),
      },
      400: plain('The number is not one.'),
      404: missing,
      470: plain('The channel does not have it; `Lp-Trickle-Latest` says where the channel is.'),
    },
  })
  for (const [target, operationId, summary] of [
    [path, 'endTrickleSegment', 'End a segment, so that nobody waits for it any more'],
    ['/trickle/{channel}', 'deleteTrickleChannel', 'End a channel'],
  ] as const) {
    registry.registerPath({
      method: 'delete',
      path: target,
      operationId,
      tags: ['In'],
      summary,
      security: needs.authToken,
      request: { params: target === path ? z.object({ channel, seq }) : z.object({ channel }) },
      responses: { 200: plain('Done.'), 400: plain('It is not there.'), 404: missing },
    })
  }
}
