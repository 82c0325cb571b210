import type { PipelineLease } from '../pipeline/supervision/pool.ts'
import type { Input } from './input/input.ts'
import type { LatencyReport } from './latency.ts'
import type { Output } from './output/output.ts'
import { hashParams } from './params.ts'

type Observed = {
  name: string
  startedAt: number
  publishing: boolean
  viewers: number
  inputViewers: number
  trickleSegments: number
  late: number
  lease: PipelineLease | undefined
  ingest: ReturnType<Input['stats']> | undefined
  output: ReturnType<Output['stats']>
  inputEncoderPid: number | undefined
  latency: LatencyReport
}

export type StreamStatus = ReturnType<typeof streamStatus>

const tenth = (n: number) => Math.round(n * 10) / 10

/** What `GET /streams/{stream}` tells, put together from the parts of a stream. Names are fixed by the API. */
export function streamStatus(o: Observed) {
  const pipeline = o.lease?.stats()
  const ingest = o.ingest
  return {
    name: o.name,
    state: o.publishing && o.lease ? o.lease.state : 'OFFLINE',
    pipeline: o.lease?.pipeline ?? null,
    startedAt: new Date(o.startedAt).toISOString(),
    publishing: o.publishing,
    ingest: ingest && {
      kind: ingest.kind,
      codec: ingest.codec,
      width: ingest.width,
      height: ingest.height,
      fps: tenth(ingest.fps),
      kbps: Math.round(ingest.kbps),
      lost: ingest.lost,
      thinned: ingest.thinned,
      scaledTo: ingest.scaledTo,
      audio: ingest.audio,
    },
    inference: {
      fps: tenth(pipeline?.fps ?? 0),
      lastError: pipeline?.lastError ?? null,
      restarts: pipeline?.restarts ?? 0,
    },
    latencyMs: o.latency,
    dropped: {
      beforePipeline: pipeline?.dropped.beforePipeline ?? 0,
      afterPipeline: (pipeline?.dropped.afterPipeline ?? 0) + o.late + o.output.dropped,
      failed: pipeline?.dropped.failed ?? 0,
      viewers: o.output.readersDropped,
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
      trickleSegments: o.trickleSegments,
    },
    params: o.lease
      ? { revision: o.lease.params.revision, hash: hashParams(o.lease.params.value), value: o.lease.params.value }
      : null,
    processes: {
      decoder: ingest?.decoderPid ?? null,
      encoder: o.output.encoderPid ?? null,
      inputEncoder: o.inputEncoderPid ?? null,
      pipeline: pipeline?.pid ?? null,
    },
  }
}
