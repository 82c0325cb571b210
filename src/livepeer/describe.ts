import { type OpenAPIHono, z } from '@hono/zod-openapi'
import { InnerStart, OuterStart } from './start-request.ts'

const Detail = z
  .object({ detail: z.object({ msg: z.string() }) })
  .openapi('LivepeerError', { description: 'An error in the shape of the runner contract.' })
const ValidationDetail = z
  .object({
    detail: z.array(z.object({ loc: z.array(z.union([z.string(), z.int()])), msg: z.string(), type: z.string() })),
  })
  .openapi('LivepeerValidationError')
const Started = z
  .object({
    subscribe_url: z.string(),
    publish_url: z.string(),
    control_url: z.string(),
    events_url: z.string(),
    request_id: z.string(),
    manifest_id: z.string(),
  })
  .openapi('LiveVideoToVideoResponse', {
    description:
      'Empty: the orchestrator fills in its own. In a session of the live-runner registry, the channels created for it, with the URLs its client uses.',
  })
const time = z.int().nullable().describe('Milliseconds since 1970.')
const Status = z
  .object({
    type: z.literal('status'),
    pipeline: z.string(),
    start_time: z.int(),
    state: z.string(),
    last_state_update_time: time,
    input_status: z.object({ last_input_time: time, fps: z.number() }),
    inference_status: z.object({
      last_output_time: time,
      fps: z.number(),
      last_params_update_time: time,
      last_params: z.record(z.string(), z.unknown()).nullable().describe('Null after an event has carried them.'),
      last_params_hash: z.string(),
      last_error_time: time,
      last_error: z.string().nullable(),
      last_restart_time: time,
      last_restart_logs: z.array(z.string()).nullable(),
      restart_count: z.int(),
    }),
    stream: z.string().optional(),
    latency_ms: z.record(z.string(), z.object({ p50: z.number(), p95: z.number(), p99: z.number() })).optional(),
    dropped: z
      .object({
        input: z.int(),
        before_pipeline: z.int(),
        after_pipeline: z.int(),
        failed: z.int(),
        readers: z.int(),
      })
      .optional(),
  })
  .openapi('LivepeerStatus')

const gpu = { id: z.string(), name: z.string(), memory_total: z.int(), memory_free: z.int() }
const envelope = { pipeline: z.string(), model_id: z.string() }
const HardwareInfo = z
  .object({
    ...envelope,
    gpu_info: z.record(z.string(), z.object({ ...gpu, major: z.int(), minor: z.int() })),
  })
  .openapi('HardwareInfo', { description: 'Keyed by the index of the GPU; sizes in bytes.' })
const HardwareStats = z
  .object({
    ...envelope,
    gpu_stats: z.record(
      z.string(),
      z.object({ ...gpu, utilization_compute: z.number(), utilization_memory: z.number() }),
    ),
  })
  .openapi('HardwareStats', { description: 'Keyed by the index of the GPU; sizes in bytes, utilization in percent.' })

const json = <T extends z.ZodType>(description: string, schema: T) => ({
  description,
  content: { 'application/json': { schema } },
})
const text = (description: string) => ({
  description,
  content: { 'text/plain': { schema: { type: 'string' as const } } },
})
const body = <T extends z.ZodType>(schema: T) => ({
  body: { content: { 'application/json': { schema } }, required: true },
})
const token = [{ authToken: [] }]
const unauthorized = { 401: json('The token is missing or wrong.', Detail) }
const streamQuery = z.object({ stream: z.string().optional().describe('Name of the stream, if several run.') })

/** Describes the routes of the runner contract; their errors have the original's format. */
export function describeRunner(registry: OpenAPIHono['openAPIRegistry']): void {
  registry.registerPath({
    method: 'post',
    path: '/live-video-to-video',
    operationId: 'startLiveVideoToVideo',
    tags: ['Livepeer'],
    summary: 'Start a stream, as an orchestrator does',
    security: token,
    request: body(OuterStart),
    responses: {
      200: json('Its channels are open.', Started),
      400: json('Invalid params, model or URLs, or a channel that could not be opened.', Detail),
      ...unauthorized,
      422: json('Invalid body.', ValidationDetail),
      500: json('An error inside the server.', Detail),
      503: json('All streams are in use.', Detail),
    },
  })
  registry.registerPath({
    method: 'post',
    path: '/api/live-video-to-video',
    operationId: 'startLiveVideoToVideoInside',
    tags: ['Livepeer'],
    summary: 'Start a stream, by the internal API',
    security: token,
    request: body(InnerStart),
    responses: {
      200: text('It is started.'),
      400: text('Why not.'),
      ...unauthorized,
      503: text('All streams are in use.'),
    },
  })
  registry.registerPath({
    method: 'post',
    path: '/api/params',
    operationId: 'updateLivepeerParams',
    tags: ['Livepeer'],
    summary: 'Replace the params of the Livepeer stream',
    description:
      'Replaces all params; omitted ones return to their defaults, except the size. A merge patch is merged.',
    security: token,
    request: {
      query: streamQuery,
      body: {
        content: {
          'application/json': { schema: z.record(z.string(), z.unknown()) },
          'application/merge-patch+json': { schema: z.record(z.string(), z.unknown()) },
        },
        required: true,
      },
    },
    responses: { 200: text('They are in force.'), 400: text('Why not.'), ...unauthorized },
  })
  registry.registerPath({
    method: 'get',
    path: '/api/status',
    operationId: 'getLivepeerStatus',
    tags: ['Livepeer'],
    summary: 'Get the status of the newest Livepeer stream',
    security: token,
    request: { query: streamQuery },
    responses: { 200: json('Its status.', Status), 400: text('There is no such stream.'), ...unauthorized },
  })
  for (const [path, operationId, schema] of [
    ['/hardware/info', 'getHardwareInfo', HardwareInfo],
    ['/hardware/stats', 'getHardwareStats', HardwareStats],
  ] as const) {
    registry.registerPath({
      method: 'get',
      path,
      operationId,
      tags: ['Livepeer'],
      summary: path === '/hardware/info' ? 'The GPUs of the machine' : 'How busy the GPUs of the machine are',
      security: [],
      responses: { 200: json('One entry for each NVIDIA GPU.', schema) },
    })
  }
}
