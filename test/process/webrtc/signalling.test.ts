import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Hono } from 'hono'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { AppError } from '../../../src/core/errors.ts'
import { signallingRoutes } from '../../../src/http/routes/signalling.ts'
import { errorOf, problemResponse } from '../../../src/http/status.ts'
import { SignallingServer } from './support/server.ts'

const read = (name: string) => readFileSync(join(import.meta.dirname, `../../unit/webrtc/offers/${name}.sdp`), 'utf8')
const OFFERS = { whip: read('whip-chrome'), whep: read('whep-chrome') }
const SDP = { 'content-type': 'application/sdp' }
const ICE_LINKS = [
  '<stun:stun.example.net>; rel="ice-server"',
  '<turn:turn.example.net?transport=udp>; rel="ice-server"; username="me"; credential="a \\"word\\""; credential-type="password"',
  '<turns:turn.example.net>; rel="ice-server"; username="me"; credential="a \\"word\\""; credential-type="password"',
].join(', ')
const FRAGMENT = { 'content-type': 'application/trickle-ice-sdpfrag' }

let server: SignallingServer
beforeEach(() => {
  server = new SignallingServer()
})
afterEach(() => server[Symbol.asyncDispose]())

const send = (method: string, path: string, headers: Record<string, string> = {}, body?: string) =>
  server.app.request(path, { method, headers, ...(body !== undefined && { body }) })

async function expectProblem(answer: Response, status: number, detail: string): Promise<void> {
  expect(answer.status).toBe(status)
  expect(answer.headers.get('content-type')).toBe('application/problem+json')
  expect(await answer.json()).toMatchObject({ status, detail: expect.stringContaining(detail) })
}

describe.each(['whip', 'whep'] as const)('%s', (kind) => {
  const offer = OFFERS[kind]
  const open = () => send('POST', `/${kind}/demo`, SDP, offer)
  const placeOf = (answer: Response) =>
    new URL(answer.headers.get('location')!, `http://localhost/${kind}/demo`).pathname
  const sessions = () => (kind === 'whip' ? server.publishers : server.viewers)

  test('a session is created, with its URL', async () => {
    const answer = await open()
    expect(answer.status).toBe(201)
    expect(answer.headers.get('content-type')).toBe('application/sdp')
    expect(answer.headers.get('location')).toBe(`demo/${sessions()[0]!.id}`)
    expect(sessions()[0]!.id).toMatch(/^[\w-]{22}$/)
    expect(answer.headers.get('etag')).toMatch(/^"[\w-]+"$/)
    expect(answer.headers.get('accept-patch')).toBe('application/trickle-ice-sdpfrag')
    expect(answer.headers.get('link')).toBe(ICE_LINKS)
    expect(await answer.text()).toMatch(/^v=0\r\n/)
  })

  test('a client that needs ICE servers before its offer requests them', async () => {
    const answer = await send('OPTIONS', `/${kind}/demo`)
    expect(answer.status).toBe(204)
    expect(answer.headers.get('accept-post')).toBe('application/sdp')
    expect(answer.headers.get('allow')).toBe('OPTIONS, GET, HEAD, POST')
    expect(answer.headers.get('link')).toBe(ICE_LINKS)
    expect(sessions()).toHaveLength(0)
  })

  test('pages of any origin may use it', async () => {
    const preflight = await send('OPTIONS', `/${kind}/demo`, { 'access-control-request-method': 'POST' })
    expect(preflight.status).toBe(204)
    expect(preflight.headers.get('accept-post')).toBe('application/sdp')
    expect(preflight.headers.get('access-control-allow-origin')).toBe('*')
    expect(preflight.headers.get('access-control-allow-headers')).toBe('Authorization, Content-Type, If-Match')
    expect(preflight.headers.get('access-control-allow-methods')).toContain('PATCH')
    expect(preflight.headers.get('link')).toBeNull()
    const answer = await open()
    for (const name of ['Location', 'ETag', 'Link', 'Accept-Patch']) {
      expect(answer.headers.get('access-control-expose-headers')).toContain(name)
    }
    expect((await send('GET', `/${kind}/demo/none`)).headers.get('access-control-allow-origin')).toBe('*')
    expect((await send('OPTIONS', placeOf(answer))).status).toBe(204)
  })

  test('a charset does not change the content type', async () => {
    const answer = await send('POST', `/${kind}/demo`, { 'content-type': 'Application/SDP; charset=UTF-8' }, offer)
    expect(answer.status).toBe(201)
  })

  test('other content types, invalid and larger bodies are refused', async () => {
    await expectProblem(
      await send('POST', `/${kind}/demo`, { 'content-type': 'application/json' }, '{}'),
      415,
      'application/sdp',
    )
    await expectProblem(await send('POST', `/${kind}/demo`, {}, offer), 415, 'application/sdp')
    await expectProblem(await send('POST', `/${kind}/demo`, SDP, ''), 400, 'v=0')
    await expectProblem(await send('POST', `/${kind}/demo`, SDP, 'hello'), 400, 'v=0')
    const other = OFFERS[kind === 'whip' ? 'whep' : 'whip']
    await expectProblem(await send('POST', `/${kind}/demo`, SDP, other), 400, 'must be able to')
    await expectProblem(await send('POST', `/${kind}/demo`, SDP, offer + 'a=x\r\n'.repeat(30_000)), 413, '131072')
    const codecs = offer.replace(/ (?!rtx)[\w-]+\/90000/g, ' H263/90000')
    await expectProblem(await send('POST', `/${kind}/demo`, SDP, codecs), 415, 'codec')
    expect(sessions()).toHaveLength(0)
  })

  test('GET of the endpoint or a session returns nothing', async () => {
    const location = placeOf(await open())
    for (const path of [`/${kind}/demo`, location]) {
      for (const method of ['GET', 'HEAD']) {
        const answer = await send(method, path)
        expect(answer.status).toBe(204)
        expect(await answer.text()).toBe('')
      }
    }
    const put = await send('PUT', `/${kind}/demo`)
    expect(put.headers.get('allow')).toBe('OPTIONS, GET, HEAD, POST')
    await expectProblem(put, 405, 'PUT')
    const post = await send('POST', location, SDP, offer)
    expect(post.headers.get('allow')).toBe('OPTIONS, GET, HEAD, PATCH, DELETE')
    await expectProblem(post, 405, 'POST')
  })

  test('candidates are accepted while the ETag is current', async () => {
    const answer = await open()
    const location = placeOf(answer)
    const etag = answer.headers.get('etag')!
    const candidates = 'm=audio 9 RTP/AVP 0\r\na=mid:0\r\na=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n'
    const taken = await send('PATCH', location, { ...FRAGMENT, 'if-match': etag }, candidates)
    expect(taken.status).toBe(204)
    expect(taken.headers.get('etag')).toBeNull()
    await expectProblem(await send('PATCH', location, FRAGMENT, candidates), 428, 'If-Match')
    await expectProblem(await send('PATCH', location, { ...FRAGMENT, 'if-match': '"old"' }, candidates), 412, 'ETag')
    await expectProblem(await send('PATCH', location, { ...SDP, 'if-match': etag }, candidates), 415, 'sdpfrag')
    await expectProblem(await send('PATCH', location, { ...FRAGMENT, 'if-match': etag }, 'hello'), 400, 'x=')
    await expectProblem(
      await send('PATCH', location, { ...FRAGMENT, 'if-match': etag }, 'a=mid:0\r\n'),
      400,
      'ice-ufrag',
    )
  })

  test('ICE restarts', async () => {
    const answer = await open()
    const location = placeOf(answer)
    const credentials = (text: string) => /a=ice-ufrag:(\S+)\r\na=ice-pwd:(\S+)/.exec(text)!.slice(1)
    const before = credentials(await answer.text())
    const fragment = 'a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\n'
    const restarted = await send('PATCH', location, { ...FRAGMENT, 'if-match': '*' }, fragment)
    expect(restarted.status).toBe(200)
    expect(restarted.headers.get('content-type')).toBe('application/trickle-ice-sdpfrag')
    const etag = restarted.headers.get('etag')
    expect(etag).not.toBe(answer.headers.get('etag'))
    const text = await restarted.text()
    expect(credentials(text)).not.toEqual(before)
    expect(text).toContain('a=candidate:1 1 udp')
    expect(text).toContain('a=ice-lite')
    const old = { ...FRAGMENT, 'if-match': answer.headers.get('etag')! }
    await expectProblem(await send('PATCH', location, old, fragment), 412, 'ETag')
    const again = await send('PATCH', location, { ...FRAGMENT, 'if-match': '*' }, fragment)
    expect(again.status).toBe(204)
  })

  test('is ended once', async () => {
    const location = placeOf(await open())
    await expectProblem(await send('DELETE', location.replace('demo', 'other')), 404, kind)
    expect((await send('DELETE', location, { 'if-match': '"whatever"' })).status).toBe(200)
    expect(await sessions()[0]!.closed).toEqual({ why: 'stopped' })
    expect((await send('DELETE', location)).status).toBe(200)
    await expectProblem(await send('DELETE', location.replace('demo', 'other')), 404, kind)
    await expectProblem(await send('GET', location), 404, kind)
    await expectProblem(await send('PATCH', location, { ...FRAGMENT, 'if-match': '*' }, 'x'), 404, kind)
  })

  test('one that ends by itself is gone', async () => {
    const location = placeOf(await open())
    await sessions()[0]!.close()
    await expectProblem(await send('GET', location), 404, kind)
    // The client may not have noticed yet.
    expect((await send('DELETE', location)).status).toBe(200)
  })
})

test('the guard runs after the preflight and before everything else', async () => {
  const app = new Hono()
  app.onError((thrown, c) => problemResponse(c, errorOf(thrown)))
  const guard = () => Promise.reject(new AppError('unauthorized', 'send a token'))
  const open = () => Promise.reject(new AppError('internal', 'this must not be reached'))
  app.route('/', signallingRoutes({ kind: 'whip', iceServers: () => [], guard, open }))
  const preflight = { 'access-control-request-method': 'POST' }
  expect((await app.request('/whip/demo', { method: 'OPTIONS', headers: preflight })).status).toBe(204)
  for (const [method, path] of [
    // Its response would contain credentials of ICE servers.
    ['OPTIONS', '/whip/demo'],
    ['POST', '/whip/demo'],
    ['PATCH', '/whip/demo/x'],
    ['DELETE', '/whip/demo/x'],
  ] as const) {
    const answer = await app.request(path, { method, headers: SDP, body: 'x' })
    expect(answer.status).toBe(401)
    expect(answer.headers.get('www-authenticate')).toBe('Bearer')
    expect(answer.headers.get('access-control-allow-origin')).toBe('*')
  }
})

test('the number of sessions is limited', async () => {
  const app = new Hono()
  app.onError((thrown, c) => problemResponse(c, errorOf(thrown)))
  const { promise, resolve } = Promise.withResolvers<never>()
  app.route('/', signallingRoutes({ kind: 'whip', iceServers: () => [], open: () => promise, maxSessions: 1 }))
  const post = () => app.request('/whip/demo', { method: 'POST', headers: SDP, body: OFFERS.whip })
  void post()
  const refused = await post()
  expect(refused.status).toBe(503)
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
  resolve(undefined as never)
})
