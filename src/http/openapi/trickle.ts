import { z } from '@hono/zod-openapi'
import { bytes, needs, problem, type RouteRegistry, STREAM_NAME, tsQueryParams } from './describe.ts'

const TS = 'video/mp2t'

/** The channels under `/trickle/`; docs/trickle.md specifies the protocol. */
export function describeTrickle(registry: RouteRegistry): void {
  const channel = z.string().openapi({
    param: { name: 'channel', in: 'path' },
    pattern: STREAM_NAME,
    example: 'demo',
    description:
      'A stream to publish to, or one of its channels: its name with `-out`, `-events`, `-data` or `-control`.',
  })
  const seq = z.string().openapi({
    param: { name: 'seq', in: 'path' },
    pattern: '^(-[12]|[0-9]{1,15}|next)$',
    example: '-1',
    description:
      'Number of the segment; -1 is the next one to start, -2 the newest one started; `next` returns the number of the next one.',
  })
  const number = seq.openapi({ pattern: '^[0-9]{1,15}$', example: '0', description: 'Number of a segment.' })
  const written = seq.openapi({
    pattern: '^(-1|[0-9]{1,14})$',
    description: 'Number of the segment; -1 is the next one to start.',
  })
  const path = '/trickle/{channel}/{seq}'
  const plain = (description: string) => bytes(description, 'text/plain')
  const missing = plain('No such channel.')
  const refused = {
    404: plain('There is no such pipeline.'),
    409: plain('The stream has another publisher.'),
    422: plain('The pipeline refused the params; each line has a path and the error.'),
    502: plain('The pipeline cannot be started.'),
  }
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
      query: tsQueryParams,
      headers: z.object({ 'Expect-Content': z.string().optional().describe('Mime type of the segments.') }),
    },
    responses: {
      200: plain('It is there.'),
      400: plain('Invalid name.'),
      ...refused,
      503: plain('No room.'),
    },
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
      params: z.object({ channel, seq: written }),
      query: tsQueryParams,
      body: {
        // Bytes have no schema (OpenAPI 3.1 §4.8.14.3).
        content: { [TS]: { schema: {} }, 'application/json': { schema: {} } },
      },
    },
    responses: {
      200: plain('Written.'),
      400: plain('Invalid number or name.'),
      ...refused,
      415: plain('The segments are not readable.'),
      413: plain('The segment is too long.'),
      507: plain('The memory limit of the channels is reached.'),
      503: plain('All streams are in use.'),
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
        ...bytes('The segment, as it arrives.', TS),
        headers: z.object({ 'Lp-Trickle-Seq': z.string().describe('Number of the segment.') }),
      },
      400: plain('Invalid number.'),
      404: missing,
      429: problem('Too many reads from this address.'),
      470: plain('The channel does not have it; `Lp-Trickle-Latest` is the newest segment.'),
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
      request: { params: target === path ? z.object({ channel, seq: number }) : z.object({ channel }) },
      responses: { 200: plain('Done.'), 400: plain('It is not there.'), 404: missing },
    })
  }
}
