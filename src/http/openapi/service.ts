import { z } from '@hono/zod-openapi'
import {
  bytes,
  needs,
  ok,
  problem,
  publishProblems,
  publishQueryParams,
  type RouteRegistry,
  streamParam,
} from './describe.ts'
import { Health, ReadinessSchema, StreamEventSchema, Version } from './schemas.ts'

/** Routes about the server as a whole, and what a stream tells while it runs. */
export function describeService(registry: RouteRegistry): void {
  registry.register('StreamEvent', StreamEventSchema)
  registry.registerPath({
    method: 'get',
    path: '/streams/{stream}/events',
    operationId: 'getEvents',
    tags: ['Streams'],
    summary: 'What happens in a stream, as server-sent events',
    description: 'The `data` of each event is a `StreamEvent`. The newest 500 are kept for who comes back.',
    security: needs.viewToken,
    request: {
      params: streamParam,
      headers: z.object({
        'Last-Event-ID': z.string().optional().describe('Go on after this one; 0: from the first.'),
      }),
      query: z.object({ lastEventId: z.string().optional().describe('The same, for who cannot set headers.') }),
    },
    responses: {
      200: bytes('Events until the stream ends.', 'text/event-stream'),
      404: problem('No such stream.'),
    },
  })
  registry.registerPath({
    method: 'post',
    path: '/test-pattern/{stream}',
    operationId: 'startTestPattern',
    tags: ['In'],
    summary: 'Publish the built-in test pattern',
    description: 'A moving image with a clock and a beep, until the stream is stopped.',
    security: needs.authToken,
    request: { params: streamParam, query: publishQueryParams },
    responses: {
      201: ok('It runs.', z.object({ stream: z.string(), started: z.literal(true) })),
      ...publishProblems,
      504: problem('It did not begin in time.'),
    },
  })
  registry.registerPath({
    method: 'get',
    path: '/health',
    operationId: 'getHealth',
    tags: ['Service'],
    summary: 'In the words of the Livepeer runner',
    description: 'IDLE while there is room for one more stream, OK when there is none.',
    security: needs.nothing,
    responses: { 200: ok('The server answers.', Health) },
  })
  registry.registerPath({
    method: 'get',
    path: '/ready',
    operationId: 'getReady',
    tags: ['Service'],
    summary: 'Whether one more stream would be taken now, for load balancers',
    security: needs.nothing,
    responses: {
      200: ok('Yes.', ReadinessSchema),
      503: ok('No: all streams are taken, or the server is shutting down.', ReadinessSchema),
    },
  })
  registry.registerPath({
    method: 'get',
    path: '/version',
    operationId: 'getVersion',
    tags: ['Service'],
    summary: 'What runs',
    security: needs.nothing,
    responses: { 200: ok('The version.', Version) },
  })
  registry.registerPath({
    method: 'get',
    path: '/metrics',
    operationId: 'getMetrics',
    tags: ['Service'],
    summary: 'Everything that is measured, for Prometheus',
    security: needs.viewToken,
    responses: { 200: bytes('The text format of Prometheus.', 'text/plain') },
  })
  registry.registerPath({
    method: 'get',
    path: '/openapi.json',
    operationId: 'getOpenApi',
    tags: ['Service'],
    summary: 'This description',
    security: needs.nothing,
    responses: { 200: ok('OpenAPI 3.1.', z.record(z.string(), z.unknown())) },
  })
  registry.registerPath({
    method: 'get',
    path: '/docs',
    operationId: 'getDocs',
    tags: ['Service'],
    summary: 'This description, to read',
    security: needs.nothing,
    responses: { 200: bytes('A page.', 'text/html') },
  })
}
