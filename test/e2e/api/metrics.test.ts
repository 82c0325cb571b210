import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { StreamStatus } from '../../../src/stream/status.ts'
import { freePort } from '../../helpers/media/media-peer.ts'
import { http, httpJson } from '../../helpers/server/http.ts'
import { SMALL_FRAMES, startServer, type TestServer } from '../../helpers/server/server.ts'
import { waitFor } from '../../helpers/wait.ts'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))

type Sample = { name: string; labels: Record<string, string>; value: number }

let server: TestServer
beforeAll(async () => {
  const port = await freePort()
  const own = { PORT: String(port), ALLOWED_URLS: `http://127.0.0.1:${port}` }
  // Three streams: the pattern, a pull of it, and what that one publishes.
  const env = { ...own, MAX_STREAMS: '3', WARM_PIPELINES: '0', MAX_PIXELS: SMALL_FRAMES.MAX_PIXELS }
  server = await startServer({ env })
})
afterAll(() => server?.stop())

/** Parses the text format; throws on an invalid line, and on a sample without a preceding TYPE. */
async function scrape(): Promise<Sample[]> {
  const { status, headers, text } = await http('GET', `${server.url}/metrics`)
  expect(status).toBe(200)
  expect(headers['content-type']).toMatch(/^text\/plain; version=0\.0\.4/)
  const types = new Map<string, string>()
  const samples: Sample[] = []
  for (const line of text.split('\n').filter((line) => line !== '')) {
    const type = /^# TYPE (\w+) (counter|gauge)$/.exec(line)
    if (type) types.set(type[1]!, type[2]!)
    else if (!line.startsWith('# HELP ')) {
      const [, name = '', labels = '', value = ''] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? []
      expect(types.has(name), line).toBe(true)
      expect(Number.isFinite(Number(value)), line).toBe(true)
      const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, key, text]) => [key, text])
      samples.push({ name, labels: Object.fromEntries(pairs), value: Number(value) })
    }
  }
  return samples
}

const find = (samples: Sample[], name: string, labels: Record<string, string> = {}) =>
  samples.find((one) => one.name === name && Object.entries(labels).every(([key, text]) => one.labels[key] === text))
    ?.value

describe('/metrics', () => {
  it('describes the server before there is a stream', async () => {
    const samples = await scrape()
    expect(find(samples, 'version', { app: 'ai-runner' })).toBe(1)
    expect(find(samples, 'millrace_streams')).toBe(0)
    expect(find(samples, 'millrace_streams_limit')).toBe(3)
    expect(find(samples, 'millrace_ready')).toBe(1)
    expect(find(samples, 'process_resident_memory_bytes')).toBeGreaterThan(10_000_000)
    expect(samples.filter(({ name }) => name.startsWith('millrace_stream_'))).toEqual([])
  })

  it('agrees with the status of a stream', async () => {
    expect((await http('POST', `${server.url}/test-pattern/demo?pipeline=effects`)).status).toBe(201)
    const stream = { stream: 'demo' }
    const samples = await waitFor('frames in the metrics', async () => {
      const now = await scrape()
      if ((find(now, 'millrace_stream_egress_frames_per_second', stream) ?? 0) > 20) return now
      throw new Error((await http('GET', `${server.url}/streams/demo`)).text)
    })
    const { json } = await httpJson<StreamStatus>('GET', `${server.url}/streams/demo`)
    expect(find(samples, 'millrace_stream_state', { ...stream, state: json.state })).toBe(1)
    expect(
      find(samples, 'millrace_stream_info', { ...stream, pipeline: 'effects', kind: 'mpegts', codec: 'h264' }),
    ).toBe(1)
    expect(find(samples, 'millrace_stream_ingest_width_pixels', stream)).toBe(json.ingest?.width)
    expect(find(samples, 'millrace_stream_egress_height_pixels', stream)).toBe(json.egress.height)
    expect(find(samples, 'millrace_stream_inference_frames_per_second', stream)).toBeGreaterThan(15)
    expect(find(samples, 'millrace_stream_ingest_bytes_per_second', stream)).toBeGreaterThan(10_000)
    const total = find(samples, 'millrace_stream_latency_seconds', { ...stream, stage: 'total', percentile: '50' })
    expect(total).toBeGreaterThan(0)
    expect(total).toBeLessThan(5)
    expect(find(samples, 'millrace_event_loop_delay_seconds', { percentile: '99' })).toBeLessThan(5)
    expect(find(samples, 'millrace_streams')).toBe(1)
  })

  it('includes remote inputs and outputs', async () => {
    const input = { type: 'mpegts', url: `${server.url}/out/demo.ts` }
    const outputs = [{ type: 'trickle', url: `${server.url}/trickle/copy` }]
    const body = { name: 'pulled', input, outputs }
    expect((await http('POST', `${server.url}/streams`, { body })).status).toBe(201)
    const { json } = await httpJson<{ id: string }[]>('GET', `${server.url}/streams/pulled/outputs`)
    const stream = { stream: 'pulled' }
    const output = { ...stream, output: json[0]!.id }
    const samples = await waitFor('bytes both ways', async () => {
      const now = await scrape()
      const sent = find(now, 'millrace_stream_output_sent_bytes_total', output) ?? 0
      const got = find(now, 'millrace_stream_pull_received_bytes_total', stream) ?? 0
      if (sent > 10_000 && got > 10_000) return now
      const [pulled, targets] = await Promise.all(
        ['pulled', 'pulled/outputs'].map((path) => http('GET', `${server.url}/streams/${path}`)),
      )
      throw new Error(`sent ${sent}, received ${got}; ${pulled?.text}; ${targets?.text}`)
    })
    const state = { state: 'running' }
    expect(find(samples, 'millrace_stream_pull_state', { ...stream, ...state })).toBe(1)
    expect(find(samples, 'millrace_stream_pull_info', { ...stream, type: 'mpegts', from: server.url })).toBe(1)
    expect(find(samples, 'millrace_stream_pull_failures_total', stream)).toBe(0)
    expect(find(samples, 'millrace_stream_output_state', { ...output, ...state })).toBe(1)
    expect(find(samples, 'millrace_stream_output_info', { ...output, type: 'trickle', to: server.url })).toBe(1)
    expect(find(samples, 'millrace_stream_output_dropped_packets_total', output)).toBeGreaterThanOrEqual(0)
  })

  it.each(['docker/grafana/millrace.json', 'docker/prometheus/alerts.yaml'])(
    'has every metric %s uses, once a pipeline has failed',
    async (file) => {
      const { json } = await httpJson<StreamStatus>('GET', `${server.url}/streams/demo`)
      if (!json.inference.lastError) process.kill(json.processes.pipeline!, 'SIGKILL')
      const asked = new Set(readFileSync(join(ROOT, file), 'utf8').match(/\b(millrace|process|nodejs)_[a-z_]+\b/g))
      expect(asked.size).toBeGreaterThan(3)
      let missing: string[] = []
      const complete = async () => {
        const found = new Set((await scrape()).map(({ name }) => name))
        missing = [...asked].filter((name) => !found.has(name))
        return missing.length === 0
      }
      await waitFor('every metric', complete).catch(() => {})
      expect(missing).toEqual([])
    },
  )

  it('counts requests by route pattern, never by path', async () => {
    for (const name of ['a', 'b', 'c']) await http('GET', `${server.url}/streams/${name}`)
    await http('GET', `${server.url}/no/such/path`)
    await http('GET', `${server.url}/out/none.ts`)
    const samples = await scrape()
    const route = { method: 'GET', route: '/streams/:stream', status: '404' }
    expect(find(samples, 'millrace_http_requests_total', route)).toBe(3)
    const routes = samples
      .filter(({ name }) => name === 'millrace_http_requests_total')
      .map(({ labels }) => labels.route)
    expect(routes).toContain('/out/:file.ts')
    expect(routes.filter((text) => text?.includes('such'))).toEqual([])
    expect(find(samples, 'millrace_http_requests_in_flight')).toBeGreaterThanOrEqual(2)
  })

  it('drops the metrics of a stream that has ended', async () => {
    for (const name of ['pulled', 'copy', 'demo']) await http('DELETE', `${server.url}/streams/${name}`)
    // The channel of an output is deleted a moment after its last segment.
    const samples = await waitFor('no stream in the metrics', async () => {
      const now = await scrape()
      const left = now.filter(({ labels }) => labels.stream !== undefined)
      if (left.length > 0) throw new Error(JSON.stringify(left))
      return now
    })
    expect(find(samples, 'millrace_streams')).toBe(0)
    expect(find(samples, 'millrace_trickle_segments_total')).toBeGreaterThan(0)
  })
})
