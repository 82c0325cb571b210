import { Hono } from 'hono'
import { Counter, Gauge, Registry } from 'prom-client'
import type { PushStatus } from '../../remote/push/push.ts'
import type { StreamStatus } from '../../stream/status.ts'
import type { MetricFamily } from './families.ts'
import { REMOTE_FAMILIES } from './remote.ts'
import { SERVER_FAMILIES, type ServerState } from './server.ts'
import { STREAM_FAMILIES } from './streams.ts'

export type MetricsOptions = {
  /** Status of every stream, read once per scrape. */
  streams(): StreamStatus[]
  outputs(): PushStatus[]
  server(): ServerState
}

/** `GET /metrics`: stream and server status in the Prometheus text format. */
export function metricsRoutes(options: MetricsOptions): Hono {
  const metrics = new Registry()
  let statuses: StreamStatus[] = []
  let outputs: PushStatus[] = []
  let state: ServerState | undefined
  for (const family of STREAM_FAMILIES) register(metrics, family, () => statuses)
  for (const family of REMOTE_FAMILIES) register(metrics, family, () => ({ streams: statuses, outputs }))
  for (const family of SERVER_FAMILIES) register(metrics, family, () => state)
  const app = new Hono()
  app.get('/metrics', async (c) => {
    statuses = options.streams()
    outputs = options.outputs()
    state = options.server()
    return c.body(await metrics.metrics(), 200, { 'content-type': metrics.contentType })
  })
  return app
}

/** Samples are collected on each scrape, so that those of ended streams disappear. */
function register<Source>(metrics: Registry, family: MetricFamily<Source>, source: () => Source | undefined): void {
  const { name, help, labels: labelNames } = family
  const named = (values: string[]) => Object.fromEntries(labelNames.map((label, at) => [label, values[at] ?? '']))
  const samples = () => {
    const now = source()
    return now === undefined ? [] : family.read(now)
  }
  const common = { name, help, labelNames, registers: [metrics] }
  if (family.type === 'gauge') {
    new Gauge({
      ...common,
      collect() {
        this.reset()
        for (const { labels, value } of samples()) this.set(named(labels), value)
      },
    })
  } else {
    new Counter({
      ...common,
      collect() {
        this.reset()
        for (const { labels, value } of samples()) this.inc(named(labels), value)
      },
    })
  }
}
