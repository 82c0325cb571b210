import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { record } from '../../helpers/media/record.ts'
import { runTool } from '../../helpers/run-tool.ts'
import { http, httpJson } from '../../helpers/server/http.ts'
import { startServer, type TestServer } from '../../helpers/server/server.ts'
import { waitFor } from '../../helpers/wait.ts'
import { describedBy } from './api-description.ts'

const KEPT = fileURLToPath(new URL('../../../docs/openapi.json', import.meta.url))

let server: TestServer
let api: Awaited<ReturnType<typeof describedBy>>
beforeAll(async () => {
  server = await startServer({ env: { PIPELINE: 'effects', UDP_PORTS: '51000-51020' } })
  api = await describedBy(server.url)
  await http('POST', `${server.url}/test-pattern/demo`)
})
afterAll(() => server?.stop())

describe('the description of the API', () => {
  it('equals docs/openapi.json', async () => {
    if (process.env.UPDATE_DOCS) {
      writeFileSync(KEPT, JSON.stringify(api.document, null, 2))
      await runTool('biome', ['check', '--write', KEPT])
    }
    const kept = JSON.parse(readFileSync(KEPT, 'utf8'))
    expect(api.document, 'run: UPDATE_DOCS=1 npx vitest run test/e2e/api/openapi.test.ts').toEqual(kept)
  })

  it('names every operation once, with a tag and a summary', () => {
    const ids = api.operations.map(({ operation }) => operation.operationId)
    expect(new Set(ids).size).toBe(ids.length)
    for (const { operation } of api.operations) {
      expect(operation.tags, operation.operationId).toHaveLength(1)
      expect(operation.summary?.length, operation.operationId).toBeGreaterThan(5)
      expect(operation.security, operation.operationId).toBeDefined()
    }
    expect(api.document.openapi).toBe('3.1.0')
  })

  it('is shown at /docs without external resources', async () => {
    const { status, headers, text } = await http('GET', `${server.url}/docs`)
    expect(status).toBe(200)
    expect(headers['content-type']).toContain('text/html')
    expect(text).not.toMatch(/(src|href)="(https?:)?\/\//)
    for (const [, path] of text.matchAll(/(?:src|href)="([\w./-]+\.(?:js|css|svg))"/g)) {
      expect((await http('GET', `${server.url}/${path}`)).status, path).toBe(200)
    }
  })
})

type Case = [operationId: string, method: string, path: string, status: number, body?: unknown]
const cases: Case[] = [
  ['listStreams', 'GET', '/streams', 200],
  ['getStream', 'GET', '/streams/demo', 200],
  ['getStream', 'GET', '/streams/none', 404],
  ['getStreamHistory', 'GET', '/streams/demo/history', 200],
  ['getParams', 'GET', '/streams/demo/params', 200],
  ['replaceParams', 'PUT', '/streams/demo/params', 200, { effect: 'edges' }],
  ['mergeParams', 'PATCH', '/streams/demo/params', 200, { strength: 0.5 }],
  ['mergeParams', 'PATCH', '/streams/demo/params', 422, { effect: 'sepia', strength: 7 }],
  ['mergeParams', 'PATCH', '/streams/none/params', 404, { strength: 0.5 }],
  ['mergeOnlyParams', 'POST', '/params', 200, { effect: 'invert' }],
  ['mergeOnlyParams', 'POST', '/params?stream=none', 404, { effect: 'invert' }],
  ['listPipelines', 'GET', '/pipelines', 200],
  ['getPipeline', 'GET', '/pipelines/effects', 200],
  ['getPipeline', 'GET', '/pipelines/none', 404],
  ['getHealth', 'GET', '/health', 200],
  ['getReady', 'GET', '/ready', 200],
  ['getVersion', 'GET', '/version', 200],
  ['getMetrics', 'GET', '/metrics', 200],
  ['getOutJpeg', 'GET', '/out/none.jpg', 404],
  ['getOutTs', 'GET', '/out/none.ts', 404],
  ['getEvents', 'GET', '/streams/none/events', 404],
  ['postIngest', 'POST', '/ingest/demo', 409],
  ['postIngest', 'POST', '/ingest/-bad-', 400],
  ['postIngest', 'POST', '/ingest/other?pipeline=none', 404],
  ['startTestPattern', 'POST', '/test-pattern/demo', 409],
  ['openWhep', 'POST', '/whep/demo', 415, 'no offer'],
  ['openWhip', 'POST', '/whip/demo', 415, 'no offer'],
  ['deleteWhep', 'DELETE', '/whep/demo/none', 404],
  ['patchWhip', 'PATCH', '/whip/demo/none', 404],
  ['getTrickleSegment', 'GET', '/trickle/none/0', 404],
  ['getLivepeerStatus', 'GET', '/api/status', 200],
  ['getLivepeerStatus', 'GET', '/api/status?stream=none', 400],
  ['getHardwareInfo', 'GET', '/hardware/info', 200],
  ['getHardwareStats', 'GET', '/hardware/stats', 200],
  ['startLiveVideoToVideo', 'POST', '/live-video-to-video', 422, {}],
  ['startLiveVideoToVideo', 'POST', '/live-video-to-video', 400, { subscribe_url: 'x', publish_url: 'y' }],
  ['startLiveVideoToVideoInside', 'POST', '/api/live-video-to-video', 400, {}],
  ['updateLivepeerParams', 'POST', '/api/params', 400, {}],
  ['startRemoteStream', 'POST', '/streams', 400, { subscribeUrl: 'http://127.0.0.1/x' }],
  ['endStream', 'DELETE', '/streams/none', 404],
]

describe('answers match the description', () => {
  it.each(cases)('%s: %s %s %d', async (operationId, method, path, status, body) => {
    const headers: Record<string, string> = typeof body === 'object' ? { 'content-type': 'application/json' } : {}
    const answer = await http(method, `${server.url}${path}`, { body, headers })
    expect(answer.status, answer.text).toBe(status)
    const type = String(answer.headers['content-type'])
    api.check(operationId, { status, type, body: type.includes('json') ? JSON.parse(answer.text) : answer.text })
  })

  it('the check detects a mismatch', () => {
    const type = 'application/json'
    expect(() => api.check('getHealth', { status: 200, type, body: { status: 'FINE' } })).toThrow()
    expect(() => api.check('getHealth', { status: 200, type, body: { status: 'OK', more: 1 } })).toThrow()
    expect(() => api.check('listStreams', { status: 200, type, body: [{ name: 'demo' }] })).toThrow()
    expect(() => api.check('getHealth', { status: 204, type, body: null })).toThrow(/describes no 204/)
  })

  it('events match too', async () => {
    await using events = await record(`${server.url}/streams/demo/events?lastEventId=0`)
    await http('PATCH', `${server.url}/streams/demo/params`, { body: { strength: 9 } })
    const text = () => new TextDecoder().decode(events.bytes())
    await waitFor('a params event', () => text().includes('event: params'))
    const told = [...text().matchAll(/^data: (.+)$/gm)].map(([, data]) => JSON.parse(data!))
    expect(told.map(({ type }) => type)).toContain('publisher')
    for (const event of told) api.checkComponent('StreamEvent', event)
  })

  it('and the end of a stream', async () => {
    const { status, json } = await httpJson('DELETE', `${server.url}/streams/demo`)
    api.check('endStream', { status, type: 'application/json', body: json })
  })
})
