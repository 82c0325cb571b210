import type { StreamStatus } from '../../../src/stream/status.ts'

/** Status of a running stream. */
export function statusSample(): StreamStatus {
  const percentiles = { p50: 6.8, p95: 11.2, p99: 13.5 }
  return {
    name: 'demo',
    state: 'ONLINE',
    pipeline: 'effects',
    stateSince: '2026-01-02T03:04:06.000Z',
    startedAt: '2026-01-02T03:04:05.000Z',
    publishing: true,
    pull: null,
    ingest: {
      kind: 'mpegts',
      program: 1,
      codec: 'h264',
      width: 1280,
      height: 720,
      fps: 30,
      kbps: 2500,
      lost: 5,
      thinned: 6,
      scaledTo: null,
      interlaced: false,
      pixelAspect: null,
      audio: { codec: 'aac', sampleRate: 48_000, channels: 2 },
    },
    inference: { fps: 30, lastError: null, restarts: 0 },
    audio: { mode: 'process', frames: 50, unprocessed: 7, lost: 8, heldMs: 0, latencyMs: percentiles },
    data: { messages: 0, lost: 0, missed: 0 },
    stages: [],
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
      resent: 12,
      resendsRefused: 3,
      vp8: { viewers: 1, encoder: 'libvpx', fps: 30, kbps: 2000, targetKbps: 2500 },
      trickleSegments: 7,
    },
    params: { revision: 1, hash: 'd41d8cd98f00b204e9800998ecf8427e', value: {} },
    processes: { decoder: 11, encoder: 12, vp8Encoder: 14, inputEncoder: null, inputVp8Encoder: null, pipeline: 13 },
  }
}
