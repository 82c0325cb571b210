import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { StreamStatus } from '../../../src/stream/status.ts'
import { http, httpJson } from '../../helpers/server/http.ts'
import { startServer, type TestServer } from '../../helpers/server/server.ts'
import { waitFor } from '../../helpers/wait.ts'

type Value = { stringValue?: string; intValue?: number | string }
type Attribute = { key: string; value: Value }
type Span = {
  traceId: string
  spanId: string
  parentSpanId?: string
  name: string
  kind: number
  startTimeUnixNano: string
  endTimeUnixNano: string
  attributes: Attribute[]
  status: { code?: number; message?: string }
}
type Export = { resourceSpans: { resource: { attributes: Attribute[] }; scopeSpans: { spans: Span[] }[] }[] }

/** A receiver of OTLP over HTTP, as JSON. */
class Collector {
  readonly spans: Span[] = []
  readonly headers: IncomingHttpHeaders[] = []
  resource: Record<string, unknown> = {}
  readonly #server: Server

  constructor() {
    this.#server = createServer(async (request, response) => {
      const chunks: Buffer[] = []
      for await (const chunk of request) chunks.push(chunk as Buffer)
      const known = request.method === 'POST' && request.url === '/v1/traces'
      response.writeHead(known ? 200 : 404, { 'content-type': 'application/json' }).end('{}')
      if (!known) return
      this.headers.push(request.headers)
      const { resourceSpans } = JSON.parse(Buffer.concat(chunks).toString()) as Export
      for (const { resource, scopeSpans } of resourceSpans) {
        this.resource = valuesOf(resource.attributes)
        this.spans.push(...scopeSpans.flatMap(({ spans }) => spans))
      }
    })
  }

  async listen(): Promise<string> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  named(name: string): Promise<Span> {
    return waitFor(`the span ${name}`, () => this.spans.find((span) => span.name === name) ?? false)
  }

  close(): void {
    this.#server.close()
    this.#server.closeAllConnections()
  }
}

function valuesOf(attributes: Attribute[]): Record<string, unknown> {
  return Object.fromEntries(
    attributes.map(({ key, value }) => [key, value.stringValue ?? (value.intValue && Number(value.intValue))]),
  )
}

/** Exits a process that loads any OpenTelemetry module except the API, which the metrics library uses. */
const FORBIDDEN = `import { registerHooks } from 'node:module'
registerHooks({ resolve(specifier, context, next) {
  if (/^@opentelemetry\\/(?!api$)/.test(specifier)) throw new Error('loaded ' + specifier)
  return next(specifier, context)
} })`
const without = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(FORBIDDEN)}` }

const collector = new Collector()
let endpoint: string
let server: TestServer
beforeAll(async () => {
  endpoint = await collector.listen()
  const env = {
    OTEL_EXPORTER_OTLP_ENDPOINT: `${endpoint}/`,
    OTEL_EXPORTER_OTLP_HEADERS: 'x-api-key=a%20key,x-tenant=us',
    OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test',
  }
  server = await startServer({ env })
}, 120_000)
afterAll(async () => {
  await server?.stop()
  collector.close()
})

test('a start is a span until the first output, under the request that caused it, in the trace of its client', async () => {
  const traceId = '0af7651916cd43dd8448eb211c80319c'
  const headers = { traceparent: `00-${traceId}-b7ad6b7169203331-01` }
  expect((await http('POST', `${server.url}/test-pattern/demo?pipeline=effects`, { headers })).status).toBe(201)
  const request = await collector.named('POST /test-pattern/:stream')
  expect(request).toMatchObject({ traceId, parentSpanId: 'b7ad6b7169203331', kind: 2 })
  expect(valuesOf(request.attributes)).toMatchObject({
    'http.request.method': 'POST',
    'http.route': '/test-pattern/:stream',
    'url.path': '/test-pattern/demo',
    'http.response.status_code': 201,
  })
  const start = await collector.named('stream start')
  expect(valuesOf(start.attributes)).toMatchObject({ 'millrace.stream': 'demo', 'millrace.pipeline': 'effects' })
  const ms = Number(BigInt(start.endTimeUnixNano) - BigInt(start.startTimeUnixNano)) / 1e6
  expect(ms).toBeGreaterThan(1)
  expect(ms).toBeLessThan(60_000)
  expect(start.status.code ?? 0).toBe(0)
})

test('the resource names the service, its host, and attributes of the environment', () => {
  expect(collector.resource).toMatchObject({
    'service.name': 'millrace',
    'service.version': expect.stringMatching(/^\d+\.\d+\.\d+/),
    'service.instance.id': expect.any(String),
    'host.name': expect.any(String),
    'os.type': 'linux',
    'process.pid': server.pid,
    'telemetry.sdk.name': 'opentelemetry',
    'deployment.environment.name': 'test',
  })
  expect(collector.headers[0]).toMatchObject({ 'x-api-key': 'a key', 'x-tenant': 'us' })
})

test('requests that change something are spans with their status; reads are none', async () => {
  const url = `${server.url}/streams/demo/params`
  expect((await http('PATCH', url, { body: { effect: 'edges' } })).status).toBe(200)
  await http('GET', url)
  await http('DELETE', `${server.url}/streams/nobody`)
  const patch = await collector.named('PATCH /streams/:stream/params')
  expect(valuesOf(patch.attributes)['http.response.status_code']).toBe(200)
  const refused = await collector.named('DELETE /streams/:stream')
  expect(valuesOf(refused.attributes)['http.response.status_code']).toBe(404)
  expect(collector.spans.filter(({ name }) => name.startsWith('GET'))).toEqual([])
  expect(collector.spans.filter(({ name }) => name.includes('/trickle'))).toEqual([])
})

test('a restart is a span of its own trace until outputs resume', async () => {
  const { json } = await httpJson<StreamStatus>('GET', `${server.url}/streams/demo`)
  process.kill(json.processes.pipeline!, 'SIGKILL')
  const restart = await collector.named('stream restart')
  expect(restart.parentSpanId ?? '').toBe('')
  expect(valuesOf(restart.attributes)).toMatchObject({
    'millrace.stream': 'demo',
    'millrace.restart.source': 'pipeline',
    'millrace.restart.count': 1,
  })
  expect(BigInt(restart.endTimeUnixNano)).toBeGreaterThan(BigInt(restart.startTimeUnixNano))
})

test('a swap is a span until the next pipeline is on air or has failed', async () => {
  const swap = (pipeline: string, params = {}) =>
    http('PUT', `${server.url}/streams/demo/pipeline`, { body: { pipeline, params } })
  expect((await swap('noop')).status).toBe(200)
  const done = await collector.named('stream swap')
  expect(valuesOf(done.attributes)).toMatchObject({ 'millrace.stream': 'demo', 'millrace.pipeline.next': 'noop' })
  const request = await collector.named('PUT /streams/:stream/pipeline')
  expect(done.traceId).toBe(request.traceId)
})

test('the last spans are sent before the server exits', async () => {
  const own = await startServer({ env: { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint } })
  await http('DELETE', `${own.url}/streams/last-one`)
  await own.stop()
  await waitFor('its span', () =>
    collector.spans.some(({ attributes }) => valuesOf(attributes)['url.path'] === '/streams/last-one'),
  )
})

test('without an endpoint no tracing code is loaded', async () => {
  const off = await startServer({ env: without })
  expect((await http('DELETE', `${off.url}/streams/nobody`)).status).toBe(404)
  await off.stop()
  // The check above works: with an endpoint it fails.
  const on = startServer({ env: { ...without, OTEL_EXPORTER_OTLP_ENDPOINT: endpoint } })
  await expect(on).rejects.toThrow(/loaded @opentelemetry/)
})
