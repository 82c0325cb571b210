import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { http, httpJson } from '../../helpers/server/http.ts'
import { startServer, type TestServer } from '../../helpers/server/server.ts'
import { waitFor } from '../../helpers/wait.ts'
import { makeSegments, OrchestratedStream, StandInOrchestrator } from '../livepeer/orchestrator.ts'

type Problem = { code: string; detail: string; errors?: { path: string; message: string }[] }

let elsewhere: StandInOrchestrator
let server: TestServer
let segments: Buffer[]
beforeAll(async () => {
  elsewhere = await StandInOrchestrator.open()
  segments = await makeSegments(12)
  server = await startServer({ env: { AUTH_TOKEN: 'secret', MAX_STREAMS: '2', ALLOWED_URLS: elsewhere.origin } })
})
afterAll(async () => {
  await server?.stop()
  await elsewhere?.[Symbol.asyncDispose]()
})

const headers = { authorization: 'Bearer secret' }
const post = <T = Problem>(body: unknown, token: Record<string, string> = headers) =>
  httpJson<T>('POST', `${server.url}/streams`, { body, headers: token })

/** Four remote channels, read as a gateway would. */
function channels() {
  const stream = new OrchestratedStream(elsewhere, Math.random().toString(16).slice(2, 10))
  const { id } = stream
  return {
    stream,
    urls: {
      subscribeUrl: elsewhere.url(id),
      publishUrl: elsewhere.url(`${id}-out`),
      controlUrl: elsewhere.url(`${id}-control`),
      eventsUrl: elsewhere.url(`${id}-events`),
    },
  }
}

describe('POST /streams', () => {
  it('pulls from and pushes to remote channels until the input ends', async () => {
    const { stream, urls } = channels()
    const {
      status,
      json,
      headers: answered,
    } = await post<{ name: string; pipeline: string }>({
      ...urls,
      name: 'far',
      pipeline: 'effects',
      params: { effect: 'grayscale' },
    })
    expect([status, json.name, json.pipeline]).toEqual([201, 'far', 'effects'])
    expect(answered.location).toBe('streams/far')
    const publishing = stream.publish(segments.slice(0, 6))
    await waitFor('output', () => stream.output.length > 0)
    await stream.control({ effect: 'invert' })
    const read = () => httpJson<Record<string, Record<string, unknown>>>('GET', `${server.url}/streams/far`)
    const shown = await waitFor('the change', async () => {
      const now = await read()
      return JSON.stringify(now.json.params).includes('invert') && now
    })
    // The start may apply params too; the event of the change has its revision.
    const { revision } = shown.json.params as { revision: number }
    await waitFor('the event of it', () =>
      stream.ofType('params').some(({ event }) => event.status === 'applied' && event.revision === revision),
    )
    expect(shown.json).toMatchObject({
      params: { value: { effect: 'invert' } },
      ingest: { kind: 'trickle', width: 640 },
    })
    const conflict = await post({ ...channels().urls, name: 'far' })
    expect([conflict.status, conflict.json.code]).toEqual([409, 'conflict'])
    await publishing
    stream.endInput()
    await waitFor('the end', async () => (await http('GET', `${server.url}/streams/far`)).status === 404)
    await waitFor('its channels are deleted', () => !stream.has('-out') && !stream.has('-events'))
    expect(stream.events.at(-1)?.event).toMatchObject({ type: 'ended' })
    stream.end()
  })

  it('needs an input only, and is stopped like any stream', async () => {
    const { stream, urls } = channels()
    const { status, json } = await post<{ name: string }>({ subscribeUrl: urls.subscribeUrl })
    expect(status).toBe(201)
    expect(json.name).toMatch(/^stream-[0-9a-f]{8}$/)
    const stopped = await http('DELETE', `${server.url}/streams/${json.name}`, { headers })
    expect(stopped.status).toBe(200)
    expect(stream.has('')).toBe(true)
    stream.end()
  })

  it.each<[string, (urls: Record<string, string>) => object, number, string]>([
    ['nothing', () => ({}), 400, 'invalid-request'],
    ['an unknown field', (urls) => ({ ...urls, publishURL: 'x' }), 400, 'invalid-request'],
    ['a name that is none', (urls) => ({ ...urls, name: 'a/b' }), 400, 'invalid-request'],
    ['a pipeline that is not there', (urls) => ({ ...urls, pipeline: 'none' }), 404, 'not-found'],
    ['bad params', (urls) => ({ ...urls, pipeline: 'effects', params: { strength: 7 } }), 422, 'invalid-params'],
    ['a loopback address', (urls) => ({ ...urls, eventsUrl: 'http://127.0.0.1:9/x' }), 400, 'invalid-request'],
    ['a metadata address', (urls) => ({ ...urls, subscribeUrl: 'http://169.254.169.254/x' }), 400, 'invalid-request'],
    [
      'a name that leads to loopback',
      (urls) => ({ ...urls, subscribeUrl: 'http://localhost/x' }),
      400,
      'invalid-request',
    ],
    ['a file', (urls) => ({ ...urls, subscribeUrl: 'file:///etc/passwd' }), 400, 'invalid-request'],
    ['an input that is not there', (urls) => ({ ...urls, subscribeUrl: elsewhere.url('none') }), 502, 'trickle-failed'],
  ])('refuses %s and leaves nothing behind', async (_, change, status, code) => {
    const { stream, urls } = channels()
    const answer = await post(change(urls))
    expect([answer.status, answer.json.code], answer.json.detail).toEqual([status, code])
    expect((await http('GET', `${server.url}/streams`, { headers })).text).toBe('[]')
    stream.end()
  })

  it('follows no redirect', async () => {
    elsewhere.intercept = (request, response) => {
      if (!request.url?.includes('/moved/')) return false
      response.writeHead(302, { location: `${server.url}/streams` }).end()
      return true
    }
    const { stream, urls } = channels()
    const answer = await post({ ...urls, subscribeUrl: elsewhere.url('moved') })
    elsewhere.intercept = undefined
    expect([answer.status, answer.json.detail]).toEqual([502, expect.stringMatching(/redirects are not followed/)])
    stream.end()
  })

  it('requires the token', async () => {
    const { stream, urls } = channels()
    expect((await post(urls, {})).status).toBe(401)
    stream.end()
  })
})
