import { z } from '@hono/zod-openapi'

export const Params = z
  .record(z.string(), z.unknown())
  .openapi('Params', { description: 'Values by their names in the pipeline’s params schema.' })

export const ProblemSchema = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string().describe('What is wrong, and what is accepted.'),
    code: z.string().describe('Stable code of the error, for programs.'),
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
    revision: z.int().min(0).describe('Increases with each applied change.'),
    hash: z.string().describe('MD5 of the params as sorted JSON.'),
    params: Params,
    ignored: z
      .array(z.string())
      .optional()
      .describe('JSON Pointers of params unknown to the pipeline; absent without any.'),
  })
  .openapi('ParamsAnswer')

export const PipelineChange = z
  .object({
    pipeline: z.string().openapi({ description: 'A pipeline, or a chain.', example: 'redact,effects' }),
    params: Params.optional().describe(
      'By default those of the pipeline; for the running pipeline, the current ones that are still valid.',
    ),
  })
  .openapi('PipelineChange')

export const STREAM_STATES = ['OFFLINE', 'LOADING', 'ONLINE', 'DEGRADED_INPUT', 'DEGRADED_INFERENCE', 'ERROR'] as const

const Size = z.object({ width: z.int(), height: z.int() })

export const Status = z
  .object({
    name: z.string(),
    state: z.enum(STREAM_STATES),
    stateSince: z.string().describe('When the state changed last.'),
    pipeline: z.string().nullable(),
    startedAt: z.string(),
    publishing: z.boolean(),
    pull: z
      .object({
        type: z.string().openapi({ example: 'rtsp' }),
        from: z.string().describe('Scheme, host and port.'),
        state: z.enum(['connecting', 'running', 'waiting']),
        bytes: z.int().describe('Bytes received, over all connections.'),
        lost: z.int().describe('Packets lost or damaged, over all connections.'),
        failures: z.int().describe('Failed connections since the start.'),
        lastError: z.record(z.string(), z.unknown()).nullable(),
        retryAt: z.string().nullable().describe('Time of the next try, while waiting.'),
      })
      .nullable()
      .describe('State of the source that the stream pulls from.'),
    ingest: z
      .object({
        kind: z.enum(['mpegts', 'trickle', 'whip', 'rtsp', 'rtmp', 'srt', 'whep', 'livekit']),
        program: z.int().nullable().describe('Number of the MPEG-TS program in use.'),
        codec: z.string().nullable(),
        width: z.int(),
        height: z.int(),
        fps: z.number(),
        kbps: z.number(),
        lost: z.int(),
        thinned: z.int().describe('Frames dropped because of MAX_FPS.'),
        scaledTo: Size.nullable().describe('Size of the pipeline’s frames, if it is not the source’s.'),
        interlaced: z.boolean().describe('The source may have interlaced frames, which are deinterlaced.'),
        pixelAspect: Size.nullable().describe('Aspect ratio of a pixel, if not square; pipelines get square pixels.'),
        audio: z.object({ codec: z.string(), sampleRate: z.int(), channels: z.int() }).nullable(),
      })
      .optional(),
    inference: z.object({ fps: z.number(), lastError: z.unknown(), restarts: z.int() }),
    stages: z
      .array(
        z.object({
          name: z.string().describe('Key of its params: the pipeline’s name, with a number if it is repeated.'),
          pipeline: z.string(),
          state: z.enum(STREAM_STATES),
          fps: z.number(),
          latencyMs: Percentiles.describe('From a frame to its output.'),
          dropped: z.object({ beforePipeline: z.int(), afterPipeline: z.int(), failed: z.int() }),
          restarts: z.int(),
          lastError: z.unknown(),
          params: z.object({ revision: z.int(), value: Params }),
          process: z.int().nullable(),
        }),
      )
      .describe('The pipelines of a chain, in order; empty for a single pipeline.'),
    latencyMs: z.object({ decode: Percentiles, pipeline: Percentiles, encode: Percentiles, total: Percentiles }),
    audio: z
      .object({
        mode: z
          .enum(['around', 'listen', 'process', 'give'])
          .describe('The pipeline’s audio: none, a copy (listen), all of it (process), or its own (give).'),
        frames: z.int().describe('Audio frames from the pipeline.'),
        unprocessed: z.int().describe('Frames passed on unchanged because the pipeline had no output in time.'),
        lost: z.int().describe('Frames and packets lost because a queue was full or the pipeline was late.'),
        heldMs: z.int().describe('Delay added to audio to keep it in sync with the video.'),
        latencyMs: Percentiles.describe('From an audio frame to the pipeline’s output for it.'),
      })
      .describe('Audio through or around the pipeline.'),
    data: z.object({
      messages: z.int().describe('Messages from the pipeline.'),
      lost: z.int().describe('Messages dropped because the pipeline sent them too fast.'),
      missed: z.int().describe('Messages missed by slow readers, summed over the readers.'),
    }),
    dropped: z.object({ beforePipeline: z.int(), afterPipeline: z.int(), failed: z.int(), viewers: z.int() }),
    egress: z.object({
      width: z.int(),
      height: z.int(),
      fps: z.number(),
      kbps: z.number(),
      targetKbps: z.number().describe('Target of the encoder, lowered while viewers’ networks carry less.'),
      encoder: z.string().describe('Encoder in use; not the initial one if that failed.'),
      viewers: z.int().describe('Viewers of the output, by WebRTC and MPEG-TS.'),
      inputViewers: z.int().describe('Viewers of the input, by WebRTC with `view=input`.'),
      resent: z.int().describe('Packets resent to viewers.'),
      resendsRefused: z
        .int()
        .describe('Retransmission requests refused: the limits are 4 per packet and a quarter of the media.'),
      trickleSegments: z.int(),
      vp8: z
        .object({
          viewers: z.int().describe('Viewers without H.264.'),
          encoder: z.string(),
          fps: z.number(),
          kbps: z.number(),
          targetKbps: z.number(),
        })
        .nullable()
        .describe('The VP8 encoder, which runs while viewers without H.264 watch the output.'),
    }),
    params: z.object({ revision: z.int(), hash: z.string(), value: Params }).nullable(),
    processes: z.object({
      decoder: z.int().nullable(),
      encoder: z.int().nullable(),
      vp8Encoder: z.int().nullable().describe('Runs while a viewer without H.264 watches the output.'),
      inputEncoder: z.int().nullable().describe('Runs while somebody watches the input.'),
      inputVp8Encoder: z
        .int()
        .nullable()
        .describe('Runs while a viewer without H.264 watches the input, unless the input is VP8.'),
      pipeline: z.int().nullable(),
    }),
  })
  .openapi('StreamStatus')

const column = (what: string) => z.array(z.number()).describe(what)

export const History = z
  .object({
    everyMs: z.int().describe('Time between two samples.'),
    until: z.string().describe('When the newest sample was taken.'),
    states: z.array(z.object({ state: z.enum(STREAM_STATES), since: z.string() })).describe('Oldest first.'),
    samples: z
      .object({
        ingestFps: column('Input frames per second.'),
        egressFps: column('Output frames per second.'),
        ingestKbps: column('In kbit/s.'),
        egressKbps: column('In kbit/s.'),
        decodeMs: column('Median, as in the status.'),
        pipelineMs: column('Median, as in the status.'),
        encodeMs: column('Median, as in the status.'),
        dropped: column('Frames since the start, by kind, including those lost before the server.'),
      })
      .describe('Columns of equal length, oldest first.'),
  })
  .openapi('History')

export const PipelineSummary = z
  .object({
    name: z.string(),
    language: z.enum(['typescript', 'python']),
    package: z.string(),
    version: z.string(),
    description: z.string(),
    presets: z
      .record(z.string(), Params)
      .describe('Named sets of params from the package; a set resets the params it does not name.'),
  })
  .openapi('PipelineSummary')

export const PipelineDetails = PipelineSummary.extend({
  language: z.enum(['typescript', 'python', 'mixed']).describe('Mixed: a chain with both.'),
  stages: z
    .array(PipelineSummary.extend({ stage: z.string().describe('Key of its params.') }))
    .describe('The pipelines of a chain, in order; empty for a single pipeline.'),
  params: z.record(z.string(), z.unknown()).describe('JSON Schema of the params.'),
  defaults: Params,
  input: z.object({ format: z.string().optional(), width: z.int().optional(), height: z.int().optional() }),
  video: z.boolean().describe('False if it works on audio only; the video then bypasses it.'),
  streams: z
    .int()
    .describe(
      'Number of streams that share one process and its model, which gets their frames in batches of at most one per stream; 1: each stream has its own process. For a chain, the smallest number of its stages.',
    ),
  audio: z
    .object({
      mode: z.enum(['process', 'listen', 'give']),
      frameMs: z.union([z.literal(10), z.literal(20)]).describe('Length of its audio frames in milliseconds.'),
      channels: z.union([z.literal(1), z.literal(2)]),
    })
    .optional()
    .describe('How it processes audio; absent if audio bypasses it.'),
}).openapi('PipelineDetails')

export const Health = z.object({ status: z.enum(['LOADING', 'IDLE', 'OK', 'ERROR']) }).openapi('Health')

export const Version = z
  .object({ pipeline: z.string(), model_id: z.string().describe('The default pipeline.'), version: z.string() })
  .openapi('Version')

export const ReadinessSchema = z
  .object({
    ready: z.boolean().describe('True while another stream would be accepted.'),
    draining: z.boolean().describe('True once the server is shutting down.'),
    streams: z.object({ running: z.int(), max: z.int() }),
    eventLoopDelayMs: z
      .object({ p50: z.number(), p99: z.number(), max: z.number() })
      .describe('Delay of timers in the last ten seconds; tens of milliseconds mean overload.'),
  })
  .openapi('Readiness')

export const RecordingSchema = z
  .object({
    id: z.string(),
    stream: z.string(),
    view: z.enum(['input', 'output']),
    state: z.enum(['recording', 'finished', 'failed']),
    startedAt: z.number().describe('Milliseconds since 1970.'),
    files: z.array(z.string()).describe('Oldest first; the last one grows during the recording.'),
    bytes: z.int(),
    dropped: z.int().describe('Packets dropped because the disk was too slow.'),
    error: z.record(z.string(), z.unknown()).optional(),
  })
  .openapi('Recording')

export const RecordedFileSchema = z
  .object({
    file: z.string(),
    stream: z.string(),
    bytes: z.int(),
    startedAt: z.number().describe('Milliseconds since 1970.'),
    growing: z.boolean(),
  })
  .openapi('RecordedFile')

const told = { id: z.int().describe('Increases by one.'), timestamp: z.int().describe('Milliseconds since 1970.') }
const event = <T extends z.core.$ZodLooseShape>(type: string, shape: T) =>
  z.object({ type: z.literal(type), ...told, ...shape })

export const StreamEventSchema = z
  .union([
    event('state', { state: z.enum(STREAM_STATES), previous: z.enum(STREAM_STATES) }),
    event('publisher', { event: z.enum(['joined', 'left']), kind: z.string(), reason: z.string().optional() }),
    event('pipeline', {
      status: z.enum(['loading', 'on-air', 'failed']),
      pipeline: z.string(),
      error: z.record(z.string(), z.unknown()).optional(),
    }),
    event('recording', {
      status: z.enum(['started', 'finished', 'failed']),
      recording: z.string(),
      view: z.enum(['input', 'output']),
      files: z.array(z.string()).optional(),
      error: z.record(z.string(), z.unknown()).optional(),
    }),
    event('output', {
      status: z.enum(['running', 'lost', 'ended']),
      output: z.string(),
      kind: z.string(),
      to: z.string(),
      error: z.record(z.string(), z.unknown()).optional(),
    }),
    event('params', {
      status: z.enum(['applied', 'rejected']),
      revision: z.int(),
      hash: z.string(),
      error: z.record(z.string(), z.unknown()).optional(),
    }),
    event('error', { source: z.string(), message: z.string(), stage: z.string().optional() }),
    event('restart', {
      source: z.string(),
      count: z.int(),
      logs: z.array(z.string()).optional(),
      stage: z.string().optional(),
    }),
    event('log', { level: z.string(), line: z.string(), stage: z.string().optional() }),
    event('viewers', { viewers: z.int(), inputViewers: z.int() }),
    event('status', { status: Status }),
    event('ended', { why: z.string(), error: z.record(z.string(), z.unknown()).optional() }),
  ])
  .openapi('StreamEvent')
