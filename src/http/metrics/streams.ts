import type { StreamStatus } from '../../stream/status.ts'
import { STREAM_STATES } from '../openapi/schemas.ts'
import type { MetricFamily, Sample } from './families.ts'

type Family = MetricFamily<readonly StreamStatus[]>
type Ingest = NonNullable<StreamStatus['ingest']>

/** One sample per stream that has the value. */
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

/** Several samples per stream; `labels` follow the stream's name. */
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
/** Without floating-point residue. */
const seconds = (ms: number) => Math.round(ms * 1000) / 1e6
const truth = (value: unknown) => (value ? 1 : 0)

const about: Family[] = [
  rows(
    'gauge',
    'info',
    'Pipeline and encoder of the stream; always 1.',
    ['pipeline', 'kind', 'codec', 'audio_codec'],
    (s) => [
      {
        labels: [s.pipeline ?? '', s.ingest?.kind ?? '', s.ingest?.codec ?? '', s.ingest?.audio?.codec ?? ''],
        value: 1,
      },
    ],
  ),
  rows('gauge', 'state', '1 for the state the stream is in, 0 for the others.', ['state'], (s) =>
    STREAM_STATES.map((state) => ({ labels: [state], value: truth(s.state === state) })),
  ),
  perStream('gauge', 'start_time_seconds', 'Start of the stream, since 1970.', (s) => Date.parse(s.startedAt) / 1000),
  perStream('gauge', 'publishing', '1 while the stream has a publisher.', (s) => truth(s.publishing)),
  perStream('gauge', 'viewers', 'Viewers of the output, by WebRTC and MPEG-TS.', (s) => s.egress.viewers),
  perStream('gauge', 'input_viewers', 'Viewers of the input.', (s) => s.egress.inputViewers),
  perStream('gauge', 'vp8_viewers', 'Viewers without H.264.', (s) => s.egress.vp8?.viewers ?? 0),
  perStream('gauge', 'params_revision', 'Params changes applied.', (s) => s.params?.revision),
  rows('gauge', 'process_running', '1 while the child process of this role runs.', ['role'], (s) =>
    Object.entries(s.processes).map(([role, pid]) => ({ labels: [role], value: truth(pid) })),
  ),
]

const ingest: Family[] = [
  perStream(
    'gauge',
    'ingest_frames_per_second',
    'Input frames.',
    ofIngest((i) => i.fps),
  ),
  perStream(
    'gauge',
    'ingest_bytes_per_second',
    'Media from the publisher.',
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
  perStream(
    'gauge',
    'ingest_scaled_width_pixels',
    'Width of the pipeline input, if it is not that of the source.',
    (s) => (s.ingest?.scaledTo ? s.ingest.scaledTo.width : undefined),
  ),
  perStream(
    'gauge',
    'ingest_scaled_height_pixels',
    'Height of the pipeline input, if it is not that of the source.',
    (s) => (s.ingest?.scaledTo ? s.ingest.scaledTo.height : undefined),
  ),
  perStream('gauge', 'ingest_audio_sample_rate_hertz', 'Sample rate of the audio.', (s) => s.ingest?.audio?.sampleRate),
  perStream('gauge', 'ingest_audio_channels', 'Channels of the audio.', (s) => s.ingest?.audio?.channels),
  perStream(
    'counter',
    'ingest_lost_total',
    'Packets or frames of the current publisher that were lost or damaged.',
    ofIngest((i) => i.lost),
  ),
  perStream(
    'counter',
    'ingest_thinned_frames_total',
    'Frames dropped because of MAX_FPS.',
    ofIngest((i) => i.thinned),
  ),
]

const audio: Family[] = [
  rows('counter', 'audio_frames_total', 'Audio frames for the pipeline, by outcome.', ['outcome'], (s) => [
    { labels: ['processed'], value: s.audio.frames },
    { labels: ['unprocessed'], value: s.audio.unprocessed },
    { labels: ['lost'], value: s.audio.lost },
  ]),
  perStream('gauge', 'audio_held_seconds', 'Delay added to audio to keep it in sync with the video.', (s) =>
    seconds(s.audio.heldMs),
  ),
]

const inference: Family[] = [
  perStream('gauge', 'inference_frames_per_second', 'Output frames of the pipeline.', (s) => s.inference.fps),
  perStream('counter', 'pipeline_restarts_total', 'Restarts of the pipeline process.', (s) => s.inference.restarts),
  perStream(
    'gauge',
    'last_error_time_seconds',
    'Time of the pipeline’s last failure, since 1970; absent before the first.',
    (s) => (s.inference.lastError ? s.inference.lastError.time / 1000 : undefined),
  ),
  rows(
    'gauge',
    'latency_seconds',
    'Time of a frame in decoder, pipeline, encoder and in total, over the newest 600.',
    ['stage', 'percentile'],
    (s) =>
      Object.entries(s.latencyMs).flatMap(([stage, { p50, p95, p99 }]) => [
        { labels: [stage, '50'], value: seconds(p50) },
        { labels: [stage, '95'], value: seconds(p95) },
        { labels: [stage, '99'], value: seconds(p99) },
      ]),
  ),
  rows('gauge', 'chain_frames_per_second', 'Output frames of each pipeline of a chain.', ['stage'], (s) =>
    s.stages.map(({ name, fps }) => ({ labels: [name], value: fps })),
  ),
  rows(
    'gauge',
    'chain_latency_seconds',
    'Time of a frame in each pipeline of a chain, over the newest 600.',
    ['stage', 'percentile'],
    (s) =>
      s.stages.flatMap(({ name, latencyMs: { p50, p95, p99 } }) => [
        { labels: [name, '50'], value: seconds(p50) },
        { labels: [name, '95'], value: seconds(p95) },
        { labels: [name, '99'], value: seconds(p99) },
      ]),
  ),
  rows('counter', 'chain_restarts_total', 'Restarts of each pipeline of a chain.', ['stage'], (s) =>
    s.stages.map(({ name, restarts }) => ({ labels: [name], value: restarts })),
  ),
  rows(
    'counter',
    'chain_dropped_frames_total',
    'Frames dropped at each pipeline of a chain, and where.',
    ['stage', 'where'],
    (s) =>
      s.stages.flatMap(({ name, dropped }) => [
        { labels: [name, 'before_pipeline'], value: dropped.beforePipeline },
        { labels: [name, 'pipeline'], value: dropped.failed },
        { labels: [name, 'after_pipeline'], value: dropped.afterPipeline },
      ]),
  ),
  rows('counter', 'dropped_frames_total', 'Frames dropped, and where.', ['where'], (s) => [
    { labels: ['before_pipeline'], value: s.dropped.beforePipeline },
    { labels: ['pipeline'], value: s.dropped.failed },
    { labels: ['after_pipeline'], value: s.dropped.afterPipeline },
    { labels: ['viewers'], value: s.dropped.viewers },
  ]),
]

const egress: Family[] = [
  perStream('gauge', 'egress_frames_per_second', 'Frames that go out.', (s) => s.egress.fps),
  perStream('gauge', 'egress_bytes_per_second', 'Encoded video and audio, once for all viewers.', (s) =>
    bytes(s.egress.kbps),
  ),
  perStream('gauge', 'egress_target_bytes_per_second', 'Bitrate of the encoder.', (s) => bytes(s.egress.targetKbps)),
  perStream(
    'gauge',
    'egress_vp8_frames_per_second',
    'Output frames, encoded in VP8 too.',
    (s) => s.egress.vp8?.fps ?? 0,
  ),
  perStream('gauge', 'egress_vp8_bytes_per_second', 'Encoded VP8, once for all its viewers.', (s) =>
    bytes(s.egress.vp8?.kbps ?? 0),
  ),
  perStream('gauge', 'egress_width_pixels', 'Width of the output.', (s) => s.egress.width),
  perStream('gauge', 'egress_height_pixels', 'Height of the output.', (s) => s.egress.height),
  perStream('counter', 'resent_packets_total', 'Packets resent to viewers.', (s) => s.egress.resent),
  perStream(
    'counter',
    'refused_resends_total',
    'Retransmission requests refused: too many for a packet, or above the share of the viewer.',
    (s) => s.egress.resendsRefused,
  ),
  perStream('counter', 'egress_trickle_segments_total', 'Trickle segments published.', (s) => s.egress.trickleSegments),
]

/** The content of `GET /streams/{stream}` as metrics. Labels are bounded: a stream's disappear with it. */
export const STREAM_FAMILIES: Family[] = [...about, ...ingest, ...audio, ...inference, ...egress]
