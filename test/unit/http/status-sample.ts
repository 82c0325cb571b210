import type { StreamStatus } from '../../../src/stream/status.ts'

/** The status of a stream in the middle of its work. */
export function statusSample(): StreamStatus {
  const percentiles = { p50: 6.8, p95: 11.2, p99: 13.5 }
  return {
    name: 'demo',
    state: 'ONLINE',
    pipeline: 'effects',
    startedAt: '2026-01-02T03:04:05.000Z',
    publishing: true,
    ingest: {
      kind: 'mpegts',
      codec: 'h264',
      width: 1280,
      height: 720,
      fps: 30,
      kbps: 2500,
      lost: 5,
      thinned: 6,
      scaledTo: null,
      audio: { codec: 'aac', sampleRate: 48_000, channels: 2 },
    },
    inference: { fps: 30, lastError: null, restarts: 0 },
    latencyMs: { decode: percentiles, pipeline: percentiles, encode: percentiles, total: percentiles },
    dropped: { beforePipeline: 1, afterPipeline: 2, failed: 3, viewers: 4 },
    egress: {
      width: 1280,
      height: 720,
      fps: 30,
      kbps: 2400,
      targetKbps: 2500,
      encoder: 'libx264',
      viewers: 1,
      inputViewers: 2,
      trickleSegments: 7,
    },
    params: { revision: 1, hash: 'd41d8cd98f00b204e9800998ecf8427e', value: {} },
    processes: { decoder: 11, encoder: 12, inputEncoder: null, pipeline: 13 },
  }
}
