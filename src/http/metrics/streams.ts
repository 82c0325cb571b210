import type { StreamStatus } from '../../stream/status.ts'
import { STREAM_STATES } from '../openapi/schemas.ts'
import type { MetricFamily, Sample } from './families.ts'

type Family = MetricFamily<readonly StreamStatus[]>
type Ingest = NonNullable<StreamStatus['ingest']>

/** One number of each stream that has it. */
function perStream(
  type: Family['type'],
  name: string,
  help: string,
  read: (status: StreamStatus) => number | undefined,
): Family {
  return rows(type, name, help, [], (status) => {
    const value = read(status)
    return value === undefined ? [] : [{ labels: [], value }]
  })
}

/** Several samples of each stream; `labels` come after the stream's name. */
function rows(
  type: Family['type'],
  name: string,
  help: string,
  labels: string[],
  read: (status: StreamStatus) => Sample[],
): Family {
  return {
    name: `millrace_stream_${name}`,
    help,
    type,
    labels: ['stream', ...labels],
    read: (statuses) =>
      statuses.flatMap((status) =>
        read(status).map((sample) => ({ labels: [status.name, ...sample.labels], value: sample.value })),
      ),
  }
}

const ofIngest = (read: (ingest: Ingest) => number) => (status: StreamStatus) => status.ingest && read(status.ingest)
const bytes = (kbps: number) => (kbps * 1000) / 8
/** Without the dust of binary fractions. */
const seconds = (ms: number) => Math.round(ms * 1000) / 1e6
const truth = (value: unknown) => (value ? 1 : 0)

const about: Family[] = [
  rows('gauge', 'info', 'What runs in the stream; always 1.', ['pipeline', 'kind', 'codec', 'audio_codec'], (s) => [
    {
      labels: [s.pipeline ?? '', s.ingest?.kind ?? '', s.ingest?.codec ?? '', s.ingest?.audio?.codec ?? ''],
      value: 1,
    },
  ]),
  rows('gauge', 'state', '1 for the state the stream is in, 0 for the others.', ['state'], (s) =>
    STREAM_STATES.map((state) => ({ labels: [state], value: truth(s.state === state) })),
  ),
  perStream('gauge', 'start_time_seconds', 'When the stream began, since 1970.', (s) => Date.parse(s.startedAt) / 1000),
  perStream('gauge', 'publishing', '1 while the stream has a publisher.', (s) => truth(s.publishing)),
  perStream('gauge', 'viewers', 'Viewers by WebRTC and endless MPEG-TS.', (s) => s.egress.viewers),
  perStream('gauge', 'input_viewers', 'Viewers of what comes in.', (s) => s.egress.inputViewers),
  perStream('gauge', 'params_revision', 'Params changes applied.', (s) => s.params?.revision),
  rows('gauge', 'process_running', '1 while the child process of this role runs.', ['role'], (s) =>
    Object.entries(s.processes).map(([role, pid]) => ({ labels: [role], value: truth(pid) })),
  ),
]

const ingest: Family[] = [
  perStream(
    'gauge',
    'ingest_frames_per_second',
    'Frames that come in.',
    ofIngest((i) => i.fps),
  ),
  perStream(
    'gauge',
    'ingest_bytes_per_second',
    'Video and audio that come in.',
    ofIngest((i) => bytes(i.kbps)),
  ),
  perStream(
    'gauge',
    'ingest_width_pixels',
    'Width of the source.',
    ofIngest((i) => i.width),
  ),
  perStream(
    'gauge',
    'ingest_height_pixels',
    'Height of the source.',
    ofIngest((i) => i.height),
  ),
  perStream('gauge', 'ingest_scaled_width_pixels', 'Width given to the pipeline, when not the source’s own.', (s) =>
    s.ingest?.scaledTo ? s.ingest.scaledTo.width : undefined,
  ),
  perStream('gauge', 'ingest_scaled_height_pixels', 'Height given to the pipeline, when not the source’s own.', (s) =>
    s.ingest?.scaledTo ? s.ingest.scaledTo.height : undefined,
  ),
  perStream('gauge', 'ingest_audio_sample_rate_hertz', 'Sample rate of the audio.', (s) => s.ingest?.audio?.sampleRate),
  perStream('gauge', 'ingest_audio_channels', 'Channels of the audio.', (s) => s.ingest?.audio?.channels),
  perStream(
    'counter',
    'ingest_lost_total',
    'Packets or frames lost or damaged on the way in, of the present publisher.',
    ofIngest((i) => i.lost),
  ),
  perStream(
    'counter',
    'ingest_thinned_frames_total',
    'Frames left out because of MAX_FPS.',
    ofIngest((i) => i.thinned),
  ),
]

const inference: Family[] = [
  perStream('gauge', 'inference_frames_per_second', 'Frames that the pipeline gives.', (s) => s.inference.fps),
  perStream('counter', 'pipeline_restarts_total', 'Restarts of the pipeline’s process.', (s) => s.inference.restarts),
  perStream(
    'gauge',
    'last_error_time_seconds',
    'When the pipeline last failed with a frame or as a whole, since 1970; absent while it never did.',
    (s) => (s.inference.lastError ? s.inference.lastError.time / 1000 : undefined),
  ),
  rows(
    'gauge',
    'latency_seconds',
    'What a frame took, over the newest 600: to decode, in the pipeline, to encode, and in all.',
    ['stage', 'percentile'],
    (s) =>
      Object.entries(s.latencyMs).flatMap(([stage, { p50, p95, p99 }]) => [
        { labels: [stage, '50'], value: seconds(p50) },
        { labels: [stage, '95'], value: seconds(p95) },
        { labels: [stage, '99'], value: seconds(p99) },
      ]),
  ),
  rows('counter', 'dropped_frames_total', 'Frames that were left out, and where.', ['where'], (s) => [
    { labels: ['before_pipeline'], value: s.dropped.beforePipeline },
    { labels: ['pipeline'], value: s.dropped.failed },
    { labels: ['after_pipeline'], value: s.dropped.afterPipeline },
    { labels: ['viewers'], value: s.dropped.viewers },
  ]),
]

const egress: Family[] = [
  perStream('gauge', 'egress_frames_per_second', 'Frames that go out.', (s) => s.egress.fps),
  perStream('gauge', 'egress_bytes_per_second', 'Video and audio that go out, once for all viewers.', (s) =>
    bytes(s.egress.kbps),
  ),
  perStream('gauge', 'egress_target_bytes_per_second', 'Bitrate that the encoder is set to.', (s) =>
    bytes(s.egress.targetKbps),
  ),
  perStream('gauge', 'egress_width_pixels', 'Width of the output.', (s) => s.egress.width),
  perStream('gauge', 'egress_height_pixels', 'Height of the output.', (s) => s.egress.height),
  perStream('counter', 'egress_trickle_segments_total', 'Trickle segments published.', (s) => s.egress.trickleSegments),
]

/** What `GET /streams/{stream}` tells, as metrics. Their labels are bounded: a stream's are gone when it is. */
export const STREAM_FAMILIES: Family[] = [...about, ...ingest, ...inference, ...egress]
