import { readFileSync } from 'node:fs'
import { request } from 'node:http'
import { networkInterfaces } from 'node:os'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { descendants } from '../../helpers/nothing-left.ts'
import { http } from '../../helpers/server/http.ts'
import { type ServerOptions, startServer, type TestServer } from '../../helpers/server/server.ts'
import { describedBy } from './api-description.ts'

const AUTH = 'auth-token-that-nobody-sees'
const VIEW = 'view-token-that-nobody-sees'
const QUIET = { MAX_SESSIONS_PER_MINUTE: '0', WARM_PIPELINES: '0', UDP_PORTS: '51030-51050' }

type Need = 'nothing' | 'viewToken' | 'authToken'
type Route = { method: string; path: string; need: Need }

/** Every operation described, at a path with nothing behind it. */
async function routesOf(url: string): Promise<Route[]> {
  const { operations } = await describedBy(url)
  return operations.map(({ method, path, operation }) => {
    const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => (name === 'seq' ? '0' : '-no-name-'))
    return { method, path: filled, need: Object.keys(operation.security[0] ?? {})[0] ?? 'nothing' } as Route
  })
}

const bearer = (token: string | undefined): Record<string, string> =>
  token === undefined ? {} : { authorization: `Bearer ${token}` }

/** Requests every route; returns those that answer 401 although they should not, or the reverse. */
async function wronglyAnswered(
  url: string,
  headers: Record<string, string>,
  refused: (need: Need) => boolean,
): Promise<string[]> {
  const routes = await routesOf(url)
  expect(routes.length).toBeGreaterThan(30)
  const wrong: string[] = []
  for (const { method, path, need } of routes) {
    const status = await statusOf(method, `${url}${path}`, headers)
    if ((status === 401) !== refused(need) || status >= 500) wrong.push(`${method} ${path} (${need}): ${status}`)
  }
  return wrong
}

/** Ignores the body, which on some routes is endless. */
function statusOf(method: string, url: string, headers: Record<string, string>): Promise<number> {
  return new Promise((resolve, reject) => {
    const asked = request(url, { method, headers, agent: false, signal: AbortSignal.timeout(30_000) })
    asked.once('error', reject)
    asked.once('response', (response) => {
      resolve(response.statusCode ?? 0)
      response.once('error', () => {}).destroy()
    })
    asked.end()
  })
}

function useServer(env: ServerOptions['env'] = {}): { readonly it: TestServer } {
  const held: { it?: TestServer } = {}
  beforeAll(async () => {
    held.it = await startServer({ env: { ...QUIET, ...env } })
  })
  afterAll(() => held.it?.stop())
  return held as { readonly it: TestServer }
}

describe('with AUTH_TOKEN and VIEW_TOKEN, on every address', () => {
  const server = useServer({ AUTH_TOKEN: AUTH, VIEW_TOKEN: VIEW, HOST: '0.0.0.0', LOG_LEVEL: 'trace' })

  it.each<[string, string | undefined, (need: Need) => boolean]>([
    ['without a token only health and documentation are readable', undefined, (need) => need !== 'nothing'],
    ['with a wrong token as without', 'wrong', (need) => need !== 'nothing'],
    ['with half of the right one as without', AUTH.slice(0, 10), (need) => need !== 'nothing'],
    ['the view token permits viewing', VIEW, (need) => need === 'authToken'],
    ['the auth token permits everything', AUTH, () => false],
  ])('%s', async (_, token, refused) => {
    expect(await wronglyAnswered(server.it.url, bearer(token), refused)).toEqual([])
  })

  it('the client address makes no difference', async () => {
    const own = Object.values(networkInterfaces())
      .flatMap((one) => one ?? [])
      .find(({ internal, family }) => !internal && family === 'IPv4')
    const url = server.it.url.replace('127.0.0.1', own?.address ?? '127.0.0.1')
    expect(await wronglyAnswered(url, {}, (need) => need !== 'nothing')).toEqual([])
    expect((await http('GET', `${url}/`)).status).toBe(200)
  })

  it('a missing token is answered with a challenge', async () => {
    const none = await http('GET', `${server.it.url}/streams`)
    expect(none.headers['www-authenticate']).toBe('Bearer')
    expect(JSON.parse(none.text)).toMatchObject({ code: 'unauthorized', status: 401 })
    const wrong = await http('GET', `${server.it.url}/streams`, { headers: bearer('wrong') })
    expect(JSON.parse(wrong.text).detail).toContain('not the right one')
  })

  it('an unauthorized endless body is cut off', async () => {
    const started = performance.now()
    const { status, closed } = await endlessPost(`${server.it.url}/ingest/demo`)
    expect(status).toBe(401)
    expect(closed).toBe(true)
    expect(performance.now() - started).toBeLessThan(10_000)
  })

  it('secrets stay out of logs, answers and child processes', async () => {
    const { url } = server.it
    const headers = bearer(AUTH)
    const started = await http('POST', `${url}/test-pattern/demo?pipeline=effects`, { headers })
    expect(started.status, started.text).toBe(201)
    const told = ['/streams', '/metrics', '/openapi.json', '/streams/demo', '/ready'].map(
      async (path) => (await http('GET', `${url}${path}`, { headers })).text,
    )
    const children = descendants(server.it.pid)
    expect(children.length).toBeGreaterThan(2)
    const seen = [
      ...(await Promise.all(told)),
      ...children.map(({ command }) => command),
      ...children.map(({ pid }) => environmentOf(pid)),
    ]
    await http('DELETE', `${url}/streams/demo`, { headers })
    seen.push(server.it.logs.text)
    for (const secret of [AUTH, VIEW]) expect(seen.filter((text) => text.includes(secret))).toEqual([])
  })
})

describe('with AUTH_TOKEN alone', () => {
  const server = useServer({ AUTH_TOKEN: AUTH })

  it('watching is open, publishing and control are not', async () => {
    expect(await wronglyAnswered(server.it.url, {}, (need) => need === 'authToken')).toEqual([])
  })

  it('pages of any origin may read, and control with the token', async () => {
    const headers = { origin: 'https://page.example', 'access-control-request-method': 'PATCH' }
    const preflight = await http('OPTIONS', `${server.it.url}/streams/demo/params`, { headers })
    expect(preflight.status).toBe(204)
    expect(preflight.headers['access-control-allow-origin']).toBe('*')
    expect(preflight.headers['access-control-allow-methods']).toContain('PATCH')
    expect(preflight.headers['access-control-allow-headers']).toContain('Authorization')
    const origin = { origin: 'https://page.example' }
    const read = await http('GET', `${server.it.url}/streams`, { headers: origin })
    expect(read).toMatchObject({ status: 200, headers: { 'access-control-allow-origin': '*' } })
    const control = { ...origin, ...bearer(AUTH) }
    expect((await http('DELETE', `${server.it.url}/streams/none`, { headers: control })).status).toBe(404)
  })
})

describe('without a token, opened by HOST', () => {
  const server = useServer({ HOST: '0.0.0.0' })
  const control = (headers: Record<string, string>) =>
    http('PATCH', `${server.it.url}/streams/none/params`, { headers, body: {} })

  it('everything is open, and the server warns about it', async () => {
    expect(await wronglyAnswered(server.it.url, { 'x-forwarded-for': '203.0.113.5' }, () => false)).toEqual([])
    expect(server.it.logs.text).toContain('set AUTH_TOKEN')
  })

  it.each([
    ['under an address', { host: '192.168.1.5:8000', origin: 'http://192.168.1.5:8000' }, 404],
    ['under a local name', { host: 'gpu-box:8000', origin: 'http://gpu-box:8000' }, 404],
    ['under a name that can be pointed here', { host: 'rebound.example', origin: 'http://rebound.example' }, 401],
    ['of another origin', { host: 'gpu-box:8000', origin: 'http://page.example' }, 401],
  ])('a page %s', async (_, headers, status) => {
    expect((await control(headers)).status).toBe(status)
  })
})

describe('without a token, on loopback', () => {
  const server = useServer({ MAX_SESSIONS_PER_MINUTE: '20' })
  const get = (path: string, headers: Record<string, string>) => http('GET', `${server.it.url}${path}`, { headers })
  const control = (headers: Record<string, string>) =>
    http('PATCH', `${server.it.url}/streams/none/params`, { headers, body: {} })

  it('everything is open to this machine', async () => {
    expect(await wronglyAnswered(server.it.url, { 'x-forwarded-for': '127.0.0.2' }, () => false)).toEqual([])
  })

  it.each([
    ['a proxy', { 'x-forwarded-for': '203.0.113.5' }],
    ['a proxy of the standard', { forwarded: 'for=203.0.113.5' }],
    ['a page elsewhere', { origin: 'https://page.example' }],
    ['a page of another port', { origin: 'http://localhost:3000' }],
    ['a page without an origin', { origin: 'null' }],
    ['a form elsewhere', { 'sec-fetch-site': 'cross-site' }],
  ])('%s may control nothing', async (_, headers) => {
    const { status, text } = await control(headers as Record<string, string>)
    expect(status, text).toBe(401)
    expect(text).toContain('AUTH_TOKEN')
  })

  it('the page of the server itself may control', async () => {
    expect((await control({ origin: server.it.url, 'sec-fetch-site': 'same-origin' })).status).toBe(404)
  })

  it('a remote client behind a proxy may watch, and read health and the page', async () => {
    const headers = { 'x-forwarded-for': '203.0.113.5' }
    for (const path of ['/streams', '/health', '/ready', '/', '/docs']) {
      expect((await get(path, headers)).status, path).toBe(200)
    }
    expect(
      await wronglyAnswered(server.it.url, { 'x-forwarded-for': '198.51.100.4' }, (need) => need === 'authToken').then(
        (wrong) => wrong.filter((line) => !line.endsWith(': 429')),
      ),
    ).toEqual([])
  })

  it.each([
    ['https://page.example', 401, undefined],
    ['http://localhost:3000', 200, 'http://localhost:3000'],
    ['http://127.0.0.1:5173', 200, 'http://127.0.0.1:5173'],
  ])('a page of %s that watches gets %d', async (origin, status, allowed) => {
    const answer = await get('/streams', { origin })
    expect(answer.status).toBe(status)
    expect(answer.headers['access-control-allow-origin']).toBe(allowed)
  })

  it('a foreign host name for this address gets nothing', async () => {
    for (const path of ['/', '/streams', '/docs']) {
      const { status, text } = await get(path, { host: 'rebound.example' })
      expect(status, path).toBe(401)
      expect(text).toContain('rebound.example')
    }
  })

  it('sessions per address are limited, whatever headers the client sends', async () => {
    const ask = (from: string) =>
      http('POST', `${server.it.url}/whep/demo`, { headers: { 'x-forwarded-for': from }, body: 'no offer' })
    const answers = []
    for (let i = 0; i < 25; i++) answers.push(await ask('203.0.113.77'))
    const refused = answers.filter(({ status }) => status === 429)
    expect(refused.length).toBeGreaterThanOrEqual(3)
    expect(Number(refused[0]?.headers['retry-after'])).toBeGreaterThan(0)
    expect(JSON.parse(refused[0]!.text)).toMatchObject({ code: 'capacity', status: 429 })
    // No proxy is trusted here; test/security/bounds.test.ts has one.
    expect((await ask('203.0.113.78')).status).toBe(429)
  })

  it('every answer has a request id and CORS headers', async () => {
    const own = await get('/health', { 'x-request-id': 'mine-1' })
    expect(own.headers['x-request-id']).toBe('mine-1')
    for (const path of ['/', '/streams', '/out/none.ts', '/trickle/none/0', '/nothing']) {
      const { headers } = await get(path, { 'x-request-id': 'no good: spaces' })
      expect(headers['x-request-id'], path).toMatch(/^[0-9a-f-]{36}$/)
      expect(headers['content-security-policy'], path).toContain("default-src 'self'")
      expect(headers['x-content-type-options'], path).toBe('nosniff')
    }
  })
})

/** Sends an endless POST until a response arrives; `closed` is whether the server then closed the connection. */
function endlessPost(url: string): Promise<{ status: number; closed: boolean }> {
  return new Promise((resolve, reject) => {
    const post = request(url, { method: 'POST', agent: false, headers: { 'content-type': 'video/mp2t' } })
    const feed = setInterval(() => post.write(Buffer.alloc(18_800)), 20)
    const give = (status: number, closed: boolean) => {
      clearInterval(feed)
      clearTimeout(limit)
      post.destroy()
      resolve({ status, closed })
    }
    let status = 0
    const limit = setTimeout(() => give(status, false), 15_000)
    post.on('error', (error) => (status === 0 ? reject(error) : give(status, true)))
    post.on('response', (response) => {
      status = response.statusCode ?? 0
      response.resume()
      response.socket.once('close', () => give(status, true))
    })
  })
}

function environmentOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8')
  } catch {
    return ''
  }
}
