import { z } from '@hono/zod-openapi'

export const Params = z
  .record(z.string(), z.unknown())
  .openapi('Params', { description: 'Values by their names in the pipeline’s params schema.' })

export const ProblemSchema = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string().describe('What was wrong, and what is accepted.'),
    code: z.string().describe('The kind of error, stable for programs.'),
    errors: z.array(z.object({ path: z.string().describe('JSON Pointer'), message: z.string() })).optional(),
    details: z.record(z.string(), z.unknown()).optional(),
  })
  .openapi('Problem')

const Percentiles = z
  .object({ p50: z.number(), p95: z.number(), p99: z.number() })
  .openapi('Percentiles', { description: 'Milliseconds.' })

export const ParamsAnswer = z
  .object({
    stream: z.string(),
    pipeline: z.string(),
    revision: z.int().min(0).describe('Rises with each change that was applied.'),
    hash: z.string().describe('MD5 of the params as sorted JSON.'),
    params: Params,
  })
  .openapi('ParamsAnswer')

export const STREAM_STATES = ['OFFLINE', 'LOADING', 'ONLINE', 'DEGRADED_INPUT', 'DEGRADED_INFERENCE', 'ERROR'] as const

const Size = z.object({ width: z.int(), height: z.int() })

export const Status = z
  .object({
    name: z.string(),
    state: z.enum(STREAM_STATES),
    pipeline: z.string().nullable(),
    startedAt: z.string(),
    publishing: z.boolean(),
    ingest: z
      .object({
        kind: z.enum(['mpegts', 'trickle', 'whip']),
        codec: z.string().nullable(),
        width: z.int(),
        height: z.int(),
        fps: z.number(),
        kbps: z.number(),
        lost: z.int(),
        thinned: z.int().describe('Frames left out because of MAX_FPS.'),
        scaledTo: Size.nullable().describe('Size given to the pipeline, when not the source’s own.'),
        audio: z.object({ codec: z.string(), sampleRate: z.int(), channels: z.int() }).nullable(),
      })
      .optional(),
    inference: z.object({ fps: z.number(), lastError: z.unknown(), restarts: z.int() }),
    latencyMs: z.object({ decode: Percentiles, pipeline: Percentiles, encode: Percentiles, total: Percentiles }),
    dropped: z.object({ beforePipeline: z.int(), afterPipeline: z.int(), failed: z.int(), viewers: z.int() }),
    egress: z.object({
      width: z.int(),
      height: z.int(),
      fps: z.number(),
      kbps: z.number(),
      targetKbps: z.number().describe('What the encoder aims at, lowered while viewers’ networks take less.'),
      encoder: z.string().describe('In use for this stream; another one than at the start when that failed.'),
      viewers: z.int().describe('Of the output, by WebRTC and endless MPEG-TS.'),
      inputViewers: z.int().describe('Of the input, by WebRTC with `view=input`.'),
      trickleSegments: z.int(),
    }),
    params: z.object({ revision: z.int(), hash: z.string(), value: Params }).nullable(),
    processes: z.object({
      decoder: z.int().nullable(),
      encoder: z.int().nullable(),
      inputEncoder: z.int().nullable().describe('Runs while somebody watches the input.'),
      pipeline: z.int().nullable(),
    }),
  })
  .openapi('StreamStatus')

export const PipelineSummary = z
  .object({
    name: z.string(),
    language: z.enum(['typescript', 'python']),
    package: z.string(),
    version: z.string(),
    description: z.string(),
  })
  .openapi('PipelineSummary')

export const PipelineDetails = PipelineSummary.extend({
  params: z.record(z.string(), z.unknown()).describe('JSON Schema of the params.'),
  defaults: Params,
  input: z.object({ format: z.string().optional(), width: z.int().optional(), height: z.int().optional() }),
}).openapi('PipelineDetails')

export const Health = z.object({ status: z.enum(['LOADING', 'IDLE', 'OK', 'ERROR']) }).openapi('Health')

export const Version = z
  .object({ pipeline: z.string(), model_id: z.string().describe('The default pipeline.'), version: z.string() })
  .openapi('Version')

export const ReadinessSchema = z
  .object({
    ready: z.boolean().describe('True while one more stream would be taken.'),
    draining: z.boolean().describe('True once the server is shutting down.'),
    streams: z.object({ running: z.int(), max: z.int() }),
    eventLoopDelayMs: z
      .object({ p50: z.number(), p99: z.number(), max: z.number() })
      .describe('How late timers were over the last ten seconds; tens mean too much to do.'),
  })
  .openapi('Readiness')

const told = { id: z.int().describe('Rises by one.'), timestamp: z.int().describe('Milliseconds since 1970.') }
const event = <T extends z.core.$ZodLooseShape>(type: string, shape: T) =>
  z.object({ type: z.literal(type), ...told, ...shape })

export const StreamEventSchema = z
  .union([
    event('state', { state: z.enum(STREAM_STATES), previous: z.enum(STREAM_STATES) }),
    event('publisher', { event: z.enum(['joined', 'left']), kind: z.string(), reason: z.string().optional() }),
    event('params', {
      status: z.enum(['applied', 'rejected']),
      revision: z.int(),
      hash: z.string(),
      error: z.record(z.string(), z.unknown()).optional(),
    }),
    event('error', { source: z.string(), message: z.string() }),
    event('restart', { source: z.string(), count: z.int(), logs: z.array(z.string()).optional() }),
    event('log', { level: z.string(), line: z.string() }),
    event('viewers', { viewers: z.int(), inputViewers: z.int() }),
    event('status', { status: Status }),
    event('ended', { why: z.string(), error: z.record(z.string(), z.unknown()).optional() }),
  ])
  .openapi('StreamEvent')
