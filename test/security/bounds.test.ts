import { readFileSync } from 'node:fs'
import { Agent, type ClientRequest, request } from 'node:http'
import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { http, httpJson } from '../helpers/server/http.ts'
import { startServer, type TestServer } from '../helpers/server/server.ts'
import { waitFor } from '../helpers/wait.ts'

type Problem = { code: string; detail: string; errors?: { path: string; message: string }[] }

const OFFER = readFileSync(new URL('../unit/webrtc/offers/whep-chrome.sdp', import.meta.url), 'utf8')

/** How much of the server anonymous requests may use. */
let server: TestServer
beforeAll(async () => {
  server = await startServer({
    env: {
      PIPELINE: 'effects',
      MAX_STREAMS: '2',
      MAX_WAITING_STREAMS: '3',
      MAX_READS_PER_ADDRESS: '20',
      MAX_SESSIONS_PER_MINUTE: '100',
      TRICKLE_MEMORY_MB: '16',
      MAX_BODY_BYTES: '20000',
      TRUST_PROXY: '127.0.0.0/8',
    },
  })
  const { status, text } = await http('POST', `${server.url}/test-pattern/demo`)
  expect(status, text).toBe(201)
})
afterAll(() => server?.stop())

const deep = (levels: number) => `{"a":${'['.repeat(levels)}${']'.repeat(levels)}}`
/** A distinct client, as reported by the trusted proxy. */
const from = (address: string) => ({ 'x-forwarded-for': address })

describe('JSON', () => {
  const json = { 'content-type': 'application/json' }
  it.each([
    ['PUT', '/streams/demo/params'],
    ['PATCH', '/streams/demo/params'],
    ['POST', '/params'],
    ['POST', '/streams'],
    ['POST', '/api/params'],
  ])('nested deeply is 400 at %s %s', async (method, path) => {
    for (const levels of [300, 9000]) {
      const body = path === '/streams' ? `{"subscribeUrl":"http://x/y","params":${deep(levels)}}` : deep(levels)
      const { status, text } = await http(method, `${server.url}${path}`, { body, headers: json })
      expect(status, text).toBe(400)
      expect(text).not.toMatch(/\/work|at .*\.ts/)
    }
  })

  it.each([
    ['PUT', '/streams/demo/params', '{"strength":1e400}', '/strength'],
    ['PATCH', '/streams/demo/params', '{"list":[1,{"b":-1e999}]}', '/list/1/b'],
    ['POST', '/params', '{"strength":1e309}', '/strength'],
    ['POST', '/streams', '{"subscribeUrl":"http://x/y","params":{"strength":1e400}}', '/params/strength'],
  ])('with a number too large is 422 at %s %s', async (method, path, body, at) => {
    const { status, json: problem } = await httpJson<Problem>(method, `${server.url}${path}`, { body, headers: json })
    expect(status).toBe(422)
    expect(problem).toMatchObject({ code: 'invalid-params', errors: [{ path: at }] })
  })

  it('is refused in queries, and with an error code on every route', async () => {
    for (const path of ['/ingest/q', '/test-pattern/q', '/trickle/q/0', '/trickle/q']) {
      const ask = (params: string) => http('POST', `${server.url}${path}?params=${encodeURIComponent(params)}`)
      expect((await ask('{"strength":1e400}')).status, path).toBe(422)
      expect((await ask(deep(2000))).status, path).toBe(400)
    }
    const answer = await httpJson<Problem>('POST', `${server.url}/test-pattern/q?params={"strength":9,"effect":"x"}`)
    expect(answer.status).toBe(422)
    expect(answer.json.code).toBe('invalid-params')
    expect(answer.json.errors?.map(({ path }) => path).sort()).toEqual(['/effect', '/strength'])
  })

  it('longer than MAX_BODY_BYTES is 413', async () => {
    const body = JSON.stringify({ strength: 0.5, more: 'x'.repeat(20_000) })
    expect((await http('PATCH', `${server.url}/streams/demo/params`, { body, headers: json })).status).toBe(413)
  })

  it('cut off in the middle is no server error', async () => {
    const asked = request(`${server.url}/params`, { method: 'POST', headers: { ...json, 'content-length': '1000' } })
    asked.on('error', () => {})
    asked.write('{"effect":')
    await waitFor('the request under way', async () => {
      const { text } = await http('GET', `${server.url}/metrics`)
      return /requests_in_flight [2-9]/.test(text)
    })
    asked.destroy()
    await waitFor('its end', async () => {
      const { text } = await http('GET', `${server.url}/metrics`)
      return /route="\/params"/.test(text)
    })
    expect(server.logs.lines.filter(({ level }) => Number(level) >= 50)).toEqual([])
  })
})

describe('waiting streams', () => {
  const watch = (name: string, body = OFFER) =>
    http('POST', `${server.url}/whep/${name}`, {
      body,
      headers: { 'content-type': 'application/sdp', ...from('9.9.9.9') },
    })

  it('are not opened by an offer that is refused', async () => {
    for (const offer of ['', 'v=0\r\n', 'nonsense'.repeat(1000)]) {
      expect((await watch('refused', offer)).status).toBeGreaterThanOrEqual(400)
    }
    expect((await http('GET', `${server.url}/streams/refused`)).status).toBe(404)
  })

  it('have a limit of their own, and a publisher still gets in', async () => {
    const answers = []
    for (let n = 0; n < 5; n++) answers.push(await watch(`nobody-${n}`))
    expect(answers.map(({ status }) => status)).toEqual([201, 201, 201, 404, 404])
    expect(answers[4]?.headers['retry-after']).toBe('5')
    const { status, text } = await http('POST', `${server.url}/test-pattern/nobody-1`)
    expect(status, text).toBe(201)
    expect((await http('GET', `${server.url}/ready`)).status).toBe(503)
    // Another stream exceeds MAX_STREAMS, also under a name that viewers wait for.
    expect((await http('POST', `${server.url}/test-pattern/nobody-2`)).status).toBe(503)
    expect((await http('DELETE', `${server.url}/streams/nobody-1`)).status).toBe(200)
  })
})

describe('reads', () => {
  it('are limited per address', async () => {
    const agent = new Agent({ maxSockets: 500 })
    const polls: ClientRequest[] = []
    const statuses: number[] = []
    for (let n = 0; n < 200; n++) {
      const poll = request(`${server.url}/trickle/demo-control/0`, { agent, headers: from('198.51.100.7') })
      poll.on('error', () => {}).on('response', (answer) => statuses.push(answer.resume().statusCode ?? 0))
      polls.push(poll.end())
    }
    try {
      await waitFor('the refusals', () => statuses.length === 180)
      expect(new Set(statuses)).toEqual(new Set([429]))
      const { status } = await http('GET', `${server.url}/trickle/demo-out/-2`, { headers: from('198.51.100.8') })
      expect(status).toBe(200)
      // Addresses the client itself wrote before the one added by the proxy are ignored.
      const spoofed = { 'x-forwarded-for': '203.0.113.1, 198.51.100.7', 'x-real-ip': '203.0.113.2' }
      expect((await http('GET', `${server.url}/trickle/demo-out/-2`, { headers: spoofed })).status).toBe(429)
    } finally {
      for (const poll of polls) poll.destroy()
    }
    await waitFor('room', async () => {
      const { status } = await http('GET', `${server.url}/trickle/demo-out/-2`, { headers: from('198.51.100.7') })
      return status === 200
    })
  })
})

describe('sessions', () => {
  it('are counted by the address that the trusted proxy adds, whatever else the client sends', async () => {
    const ask = async (n: number) => {
      const own = `203.0.113.${n % 250}`
      const headers = {
        'x-forwarded-for': `${own}, 198.51.100.99`,
        ...{ 'x-real-ip': own, forwarded: `for=${own}`, 'x-client-ip': own, 'cf-connecting-ip': own },
      }
      return (await http('POST', `${server.url}/whep/demo`, { headers, body: 'no offer' })).status
    }
    // Many at once, because the limit recovers while they are asked.
    const statuses = await Promise.all(Array.from({ length: 300 }, (_, n) => ask(n)))
    expect(statuses.filter((status) => status === 429).length).toBeGreaterThan(50)
    const other = await http('POST', `${server.url}/whep/demo`, { headers: from('198.51.100.98'), body: 'no offer' })
    expect(other.status).not.toBe(429)
  })
})

describe('trickle', () => {
  it('accepts paths in every form that HTTP allows', async () => {
    const { port, host } = new URL(server.url)
    const ask = (target: string) =>
      new Promise<string>((resolve, reject) => {
        const socket = connect(Number(port), '127.0.0.1', () =>
          socket.write(`GET ${target} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`),
        )
        let text = ''
        socket.on('error', reject).on('data', (chunk) => {
          text += chunk
        })
        socket.on('close', () => resolve(text))
      })
    const forms = [
      '/trickle/demo-out/next',
      '/%74rickle/demo-out/next',
      '/trickle/demo%2Dout/next',
      `${server.url}/trickle/demo-out/next`,
    ]
    for (const form of forms) expect(await ask(form), form).toMatch(/^HTTP\/1.1 200 OK/)
  })

  it('refuses sequence numbers that have no successor', async () => {
    for (const index of ['9007199254740991', '9007199254740990', '281474976710657']) {
      expect(
        (await http('POST', `${server.url}/trickle/big/${index}`, { headers: { 'content-type': 'application/json' } }))
          .status,
      ).toBe(400)
    }
  })

  it('keeps within its memory bound and evicts from the channels idle for longest', async () => {
    const type = { 'content-type': 'application/json' }
    const megabyte = Buffer.alloc(1_000_000, 32)
    const put = (channel: string, seq: number) =>
      http('POST', `${server.url}/trickle/${channel}/${seq}`, { body: megabyte, headers: type })
    for (let seq = 0; seq < 10; seq++) expect((await put('idle', seq)).status).toBe(200)
    // Room is left for the segments of the stream that is running.
    for (let seq = 0; seq < 8; seq++) expect((await put('busy', seq)).status).toBe(200)
    const read = (path: string) => http('GET', `${server.url}/trickle/${path}`)
    expect((await read('idle/0')).status).toBe(470)
    expect((await read('idle/9')).bytes.length).toBe(1_000_000)
    expect((await read('busy/0')).bytes.length).toBe(1_000_000)
    // The newest segment of each channel is kept: with one in each of many channels the next is refused.
    const statuses = []
    for (let n = 0; n < 17; n++) statuses.push((await put(`one-${n}`, 0)).status)
    expect(statuses.at(-1)).toBe(507)
    const { text } = await http('GET', `${server.url}/metrics`)
    const value = (name: string) => Number(new RegExp(`^${name} (\\d+)`, 'm').exec(text)?.[1])
    expect(value('millrace_trickle_held_bytes')).toBeLessThanOrEqual(16 * 1024 * 1024)
    expect(value('millrace_trickle_evicted_segments_total')).toBeGreaterThan(5)
    expect(value('millrace_trickle_refused_writes_total')).toBeGreaterThan(0)
    for (let n = 0; n < 17; n++) await http('DELETE', `${server.url}/trickle/one-${n}`)
    expect((await put('after', 0)).status).toBe(200)
  })
})

it('unsupported methods are 405', async () => {
  for (const path of ['/streams', '/trickle/demo-out/0', '/whep/demo', '/', '/none']) {
    const { status, headers } = await http('TRACE', `${server.url}${path}`)
    expect(status, path).toBe(405)
    expect(headers.allow, path).toContain('GET')
  }
})

it('a trusted proxy names the path prefix it serves the server under', async () => {
  const headers = { 'content-type': 'application/sdp', 'x-forwarded-prefix': '/video/' }
  const { status, headers: told } = await http('POST', `${server.url}/whep/demo`, { body: OFFER, headers })
  expect(status).toBe(201)
  const place = (location = '') => new URL(location, 'http://host/video/whep/demo').pathname
  expect(place(told.location)).toMatch(/^\/video\/whep\/demo\/[\w-]+$/)
  const odd = { ...headers, 'x-forwarded-prefix': '//evil.example' }
  const { headers: plain } = await http('POST', `${server.url}/whep/demo`, { body: OFFER, headers: odd })
  expect(place(plain.location)).toMatch(/^\/video\/whep\/demo\//)
})
