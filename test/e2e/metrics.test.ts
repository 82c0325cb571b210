import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { StreamStatus } from '../../src/stream/status.ts'
import { http, httpJson } from '../helpers/http.ts'
import { startServer, type TestServer } from '../helpers/server.ts'
import { waitFor } from '../helpers/wait.ts'

type Sample = { name: string; labels: Record<string, string>; value: number }

let server: TestServer
beforeAll(async () => {
  server = await startServer({ env: { MAX_STREAMS: '2', WARM_PIPELINES: '0' } })
})
afterAll(() => server?.stop())

/** Reads the text format; fails on a line that is none of it, and on a sample whose type was not said before. */
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
  it('tells of the server before there is a stream', async () => {
    const samples = await scrape()
    expect(find(samples, 'version', { app: 'ai-runner' })).toBe(1)
    expect(find(samples, 'millrace_streams')).toBe(0)
    expect(find(samples, 'millrace_streams_limit')).toBe(2)
    expect(find(samples, 'millrace_ready')).toBe(1)
    expect(find(samples, 'process_resident_memory_bytes')).toBeGreaterThan(10_000_000)
    expect(samples.filter(({ name }) => name.startsWith('millrace_stream_'))).toEqual([])
  })

  it('shows what the status of a stream shows', async () => {
    expect((await http('POST', `${server.url}/test-pattern/demo?pipeline=effects`)).status).toBe(201)
    const stream = { stream: 'demo' }
    const samples = await waitFor('frames in the metrics', async () => {
      const now = await scrape()
      return (find(now, 'millrace_stream_egress_frames_per_second', stream) ?? 0) > 20 && now
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

  it('counts requests by pattern, never by path', async () => {
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

  it('forgets a stream that has ended', async () => {
    await http('DELETE', `${server.url}/streams/demo`)
    const samples = await scrape()
    expect(samples.filter(({ labels }) => labels.stream !== undefined)).toEqual([])
    expect(find(samples, 'millrace_streams')).toBe(0)
    expect(find(samples, 'millrace_trickle_segments_total')).toBeGreaterThan(0)
  })
})
