import { plainly } from '../core/plain-paths.ts'
import type { PipelineLease } from '../pipeline/supervision/pool/pool.ts'
import type { StreamAudio } from './audio/stream-audio.ts'
import type { Input } from './input/input.ts'
import type { LatencyReport } from './latency.ts'
import type { Sent } from './output/audience.ts'
import type { StreamData } from './output/data.ts'
import { hashParams } from './params.ts'
import type { Losses } from './pipeline/losses.ts'
import type { PullStatus } from './remote/pull-status.ts'
import type { WaysOut } from './ways-out.ts'

type Observed = ReturnType<WaysOut['stats']> & {
  name: string
  startedAt: number
  /** Knows when the state began. */
  history: { observe(state: string): number }
  publishing: boolean
  pull: PullStatus | null
  viewers: number
  inputViewers: number
  /** Number of viewers in VP8. */
  vp8Viewers: number
  sent: Sent
  trickleSegments: number
  late: number
  lease: PipelineLease | undefined
  losses: Losses
  data: StreamData['counts']
  audio: ReturnType<StreamAudio['stats']>
  ingest: ReturnType<Input['stats']> | undefined
  latency: LatencyReport
}

export type StreamStatus = ReturnType<typeof streamStatus>

const tenth = (n: number) => Math.round(n * 10) / 10

/** The pipeline's state, but no better than that of the input. */
function stateOf({ publishing, lease, ingest }: Observed) {
  if (!publishing || !lease) return 'OFFLINE' as const
  return ingest?.failing ? ('ERROR' as const) : lease.state
}

/** Each pipeline of a chain; empty for a single one. */
function stagesOf(lease: PipelineLease | undefined) {
  return (lease?.stages ?? []).map(({ key, lease: stage }) => {
    const { fps, latencyMs, dropped, restarts, lastError, pid } = stage.stats()
    const { revision, value } = stage.params
    return {
      name: key,
      pipeline: stage.pipeline,
      state: stage.state,
      fps: tenth(fps),
      latencyMs,
      dropped,
      restarts,
      lastError: plainly(lastError ?? null),
      params: { revision, value },
      process: pid ?? null,
    }
  })
}

/** The answer of `GET /streams/{stream}`. Names are fixed by the API. */
export function streamStatus(o: Observed) {
  const pipeline = o.lease?.stats()
  const ingest = o.ingest
  const state = stateOf(o)
  return {
    name: o.name,
    state,
    stateSince: new Date(o.history.observe(state)).toISOString(),
    pipeline: o.lease?.pipeline ?? null,
    startedAt: new Date(o.startedAt).toISOString(),
    publishing: o.publishing,
    pull: plainly(o.pull),
    ingest: ingest && {
      kind: ingest.kind,
      program: ingest.program,
      codec: ingest.codec,
      width: ingest.width,
      height: ingest.height,
      fps: tenth(ingest.fps),
      kbps: Math.round(ingest.kbps),
      lost: ingest.lost,
      thinned: ingest.thinned,
      scaledTo: ingest.scaledTo,
      interlaced: ingest.interlaced,
      pixelAspect: ingest.pixelAspect,
      audio: ingest.audio,
    },
    inference: {
      fps: tenth(pipeline?.fps ?? 0),
      lastError: plainly(pipeline?.lastError ?? null),
      restarts: o.losses.restarts,
    },
    stages: stagesOf(o.lease),
    latencyMs: o.latency,
    audio: o.audio,
    data: o.data,
    dropped: {
      beforePipeline: o.losses.beforePipeline,
      afterPipeline: o.losses.afterPipeline + o.late + o.output.dropped,
      failed: o.losses.failed,
      viewers: o.output.readersDropped + (o.vp8?.readersDropped ?? 0) + o.sent.thinned,
    },
    egress: {
      width: o.output.width,
      height: o.output.height,
      fps: tenth(o.output.fps),
      kbps: Math.round(o.output.kbps),
      targetKbps: o.output.targetKbps,
      encoder: o.output.encoder,
      viewers: o.viewers,
      inputViewers: o.inputViewers,
      resent: o.sent.resent,
      resendsRefused: o.sent.resendsRefused,
      trickleSegments: o.trickleSegments,
      vp8: o.vp8
        ? {
            viewers: o.vp8Viewers,
            encoder: o.vp8.encoder,
            fps: tenth(o.vp8.fps),
            kbps: Math.round(o.vp8.kbps),
            targetKbps: o.vp8.targetKbps,
          }
        : null,
    },
    params: o.lease
      ? { revision: o.lease.params.revision, hash: hashParams(o.lease.params.value), value: o.lease.params.value }
      : null,
    processes: {
      decoder: ingest?.decoderPid ?? null,
      encoder: o.output.encoderPid ?? null,
      vp8Encoder: o.vp8?.encoderPid ?? null,
      inputEncoder: o.inputEncoderPid ?? null,
      inputVp8Encoder: o.inputVp8EncoderPid ?? null,
      pipeline: pipeline?.pid ?? null,
    },
  }
}
