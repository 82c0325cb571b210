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

/** Routes about the whole server, and a running stream's events and data. */
export function describeService(registry: RouteRegistry): void {
  registry.register('StreamEvent', StreamEventSchema)
  registry.registerPath({
    method: 'get',
    path: '/streams/{stream}/events',
    operationId: 'getEvents',
    tags: ['Streams'],
    summary: 'Follow the events of a stream (server-sent events)',
    description: 'The `data` of each event is a `StreamEvent`. The newest 500 are kept for clients that reconnect.',
    security: needs.viewToken,
    request: {
      params: streamParam,
      headers: z.object({
        'Last-Event-ID': z.string().optional().describe('Resume after this event; 0 is the oldest one kept.'),
      }),
      query: z.object({
        lastEventId: z.string().optional().describe('The same, for clients that cannot set headers.'),
      }),
    },
    responses: {
      200: bytes('Events until the stream ends.', 'text/event-stream'),
      400: problem('Invalid stream name.'),
      429: problem('Too many reads from this address; `Retry-After` says when to retry.'),
      404: problem('No such stream.'),
    },
  })
  registry.registerPath({
    method: 'post',
    path: '/test-pattern/{stream}',
    operationId: 'startTestPattern',
    tags: ['In'],
    summary: 'Publish the built-in test pattern',
    description: 'A moving pattern with a clock and a beep, until the stream is stopped.',
    security: needs.authToken,
    request: { params: streamParam, query: publishQueryParams },
    responses: {
      201: ok('It runs.', z.object({ stream: z.string(), started: z.literal(true) })),
      ...publishProblems,
      504: problem('It did not start in time.'),
    },
  })
  registry.registerPath({
    method: 'get',
    path: '/health',
    operationId: 'getHealth',
    tags: ['Service'],
    summary: 'Health of the server, in the states of the Livepeer runner',
    description: 'IDLE while another stream would be accepted, OK when not.',
    security: needs.nothing,
    responses: { 200: ok('The server answers.', Health) },
  })
  registry.registerPath({
    method: 'get',
    path: '/ready',
    operationId: 'getReady',
    tags: ['Service'],
    summary: 'Whether another stream would be accepted now, for load balancers',
    security: needs.nothing,
    responses: {
      200: ok('Yes.', ReadinessSchema),
      503: ok('No: all streams are in use, or the server is shutting down.', ReadinessSchema),
    },
  })
  registry.registerPath({
    method: 'get',
    path: '/placements',
    operationId: 'getPlacements',
    tags: ['Service'],
    summary: 'LiveKit rooms of the server, for `millrace dispatch`',
    description:
      'A line of JSON at each change, `{ draining, free, streams }`, and `{}` three times per second in between. A client that ' +
      'reads this while the server drains is expected to start its streams elsewhere.',
    security: needs.authToken,
    responses: {
      200: bytes('Endless JSON lines.', 'application/jsonl'),
      503: problem('Too many readers.'),
    },
  })
  registry.registerPath({
    method: 'get',
    path: '/version',
    operationId: 'getVersion',
    tags: ['Service'],
    summary: 'Version of the server, and its default pipeline',
    security: needs.nothing,
    responses: { 200: ok('The version.', Version) },
  })
  registry.registerPath({
    method: 'get',
    path: '/metrics',
    operationId: 'getMetrics',
    tags: ['Service'],
    summary: 'Metrics for Prometheus',
    security: needs.viewToken,
    responses: { 200: bytes('The text format of Prometheus.', 'text/plain') },
  })
  registry.registerPath({
    method: 'get',
    path: '/openapi.json',
    operationId: 'getOpenApi',
    tags: ['Service'],
    summary: 'This OpenAPI description',
    security: needs.nothing,
    responses: { 200: ok('OpenAPI 3.1.', z.record(z.string(), z.unknown())) },
  })
  registry.registerPath({
    method: 'get',
    path: '/docs',
    operationId: 'getDocs',
    tags: ['Service'],
    summary: 'API reference',
    security: needs.nothing,
    responses: { 200: bytes('A page.', 'text/html') },
  })
}
