import type { TrickleServer } from '../../trickle/server/server.ts'
import type { DeliveryCounts } from '../../webhooks/delivery.ts'
import type { ServiceInfo } from '../routes/service.ts'
import type { EventLoopWatch } from './event-loop.ts'
import { type MetricFamily, type Sample, single } from './families.ts'
import type { Readiness } from './readiness.ts'
import type { RequestCounts } from './request-counts.ts'

/** State of the whole server. */
export type ServerState = {
  info: ServiceInfo
  readiness: Readiness
  trickle: TrickleServer
  eventLoop: EventLoopWatch
  requests: RequestCounts
  webhooks: DeliveryCounts | undefined
}

type Family = MetricFamily<ServerState>
const gauge = (name: string, help: string, read: (state: ServerState) => number | undefined): Family =>
  single('gauge', name, help, read)
const counter = (name: string, help: string, read: (state: ServerState) => number): Family =>
  single('counter', name, help, read)
const seconds = (ms: number) => Math.round(ms * 1000) / 1e6
const one = (labels: string[]): Sample[] => [{ labels, value: 1 }]

const service: Family[] = [
  {
    name: 'version',
    help: 'Version of the server; always 1.',
    type: 'gauge',
    labels: ['app', 'version'],
    read: ({ info }) => one(['ai-runner', info.version]),
  },
  {
    name: 'millrace_build_info',
    help: 'Components in use; always 1.',
    type: 'gauge',
    labels: ['version', 'node_version', 'pipeline'],
    read: ({ info }) => one([info.version, process.version, info.pipeline]),
  },
  gauge('millrace_streams', 'Streams now, with or without a publisher.', ({ readiness }) => readiness.streams.running),
  gauge('millrace_streams_limit', 'Streams at once (MAX_STREAMS).', ({ readiness }) => readiness.streams.max),
  gauge('millrace_ready', '1 while one more stream would be taken.', ({ readiness }) => (readiness.ready ? 1 : 0)),
  gauge('millrace_draining', '1 while the server waits for its last streams to end.', ({ readiness }) =>
    readiness.draining ? 1 : 0,
  ),
  {
    name: 'millrace_event_loop_delay_seconds',
    help: 'Delay of timers in the last ten seconds.',
    type: 'gauge',
    labels: ['percentile'],
    read: ({ eventLoop }) => {
      const { p50, p99, max } = eventLoop.delay
      return [
        { labels: ['50'], value: seconds(p50) },
        { labels: ['99'], value: seconds(p99) },
        { labels: ['100'], value: seconds(max) },
      ]
    },
  },
]

const webhooks: Family[] = [
  {
    name: 'millrace_webhooks_total',
    help: 'Webhooks delivered or given up.',
    type: 'counter',
    labels: ['outcome'],
    read: ({ webhooks }) =>
      webhooks
        ? [
            { labels: ['delivered'], value: webhooks.delivered },
            { labels: ['dropped'], value: webhooks.dropped },
          ]
        : [],
  },
  gauge('millrace_webhooks_waiting', 'Pending webhooks.', ({ webhooks }) => webhooks?.waiting),
]

const http: Family[] = [
  {
    name: 'millrace_http_requests_total',
    help: 'Completed requests, by route and status.',
    type: 'counter',
    labels: ['method', 'route', 'status'],
    read: ({ requests }) => requests.samples(),
  },
  gauge('millrace_http_requests_in_flight', 'Requests in progress, including endless ones.', ({ requests }) =>
    requests.inFlight(),
  ),
]

const trickle: Family[] = [
  gauge('millrace_trickle_channels', 'Trickle channels now.', ({ trickle }) => trickle.stats().channels),
  gauge('millrace_trickle_readers', 'Trickle segments being read or waited for.', ({ trickle }) => trickle.readers),
  gauge('millrace_trickle_held_bytes', 'Segments kept for readers.', ({ trickle }) => trickle.stats().bytesHeld),
  gauge(
    'millrace_trickle_held_bytes_limit',
    'Memory limit for segments, in bytes.',
    ({ trickle }) => trickle.memory.maxBytes,
  ),
  counter(
    'millrace_trickle_evicted_segments_total',
    'Segments evicted because of the memory limit.',
    ({ trickle }) => trickle.counters.evicted,
  ),
  counter(
    'millrace_trickle_refused_writes_total',
    'Writes refused because of the memory limit.',
    ({ trickle }) => trickle.counters.refused,
  ),
  counter('millrace_trickle_segments_total', 'Segments finished.', ({ trickle }) => trickle.counters.segments),
  counter('millrace_trickle_received_bytes_total', 'Bytes published.', ({ trickle }) => trickle.counters.bytesIn),
  counter('millrace_trickle_sent_bytes_total', 'Bytes sent to readers.', ({ trickle }) => trickle.counters.bytesOut),
  counter(
    'millrace_trickle_truncated_segments_total',
    'Segments closed before their publisher had finished them.',
    ({ trickle }) => trickle.counters.truncated,
  ),
  counter(
    'millrace_trickle_oversized_segments_total',
    'Segments cut because they were too long.',
    ({ trickle }) => trickle.counters.oversized,
  ),
  counter(
    'millrace_trickle_missed_segments_total',
    'Segments missed by slow readers.',
    ({ trickle }) => trickle.counters.missed,
  ),
  counter(
    'millrace_trickle_stalled_readers_total',
    'Readers disconnected because they read nothing for too long.',
    ({ trickle }) => trickle.counters.stalled,
  ),
]

// Standard process metrics of Prometheus clients.
const process_: Family[] = [
  counter(
    'process_cpu_seconds_total',
    'CPU time of the server process.',
    () => process.cpuUsage().user / 1e6 + process.cpuUsage().system / 1e6,
  ),
  gauge('process_resident_memory_bytes', 'Resident memory of the server process.', () => process.memoryUsage.rss()),
  gauge('process_start_time_seconds', 'Start of the process, since 1970.', () => performance.timeOrigin / 1000),
  gauge('nodejs_heap_size_used_bytes', 'JavaScript heap in use.', () => process.memoryUsage().heapUsed),
  gauge('nodejs_external_memory_bytes', 'Memory of buffers.', () => process.memoryUsage().external),
]

export const SERVER_FAMILIES: Family[] = [...service, ...http, ...webhooks, ...trickle, ...process_]
