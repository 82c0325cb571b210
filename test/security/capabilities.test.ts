import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { deadline } from '../../src/core/resource.ts'
import { makeSegments, OrchestratedStream, StandInOrchestrator } from '../e2e/livepeer/orchestrator.ts'
import { LONG_CLIP } from '../helpers/media/clip.ts'
import { answerAlways, freePort, serveClip } from '../helpers/media/media-peer.ts'
import { type Recording, record } from '../helpers/media/record.ts'
import { http, httpJson } from '../helpers/server/http.ts'
import { SMALL_FRAMES } from '../helpers/server/server.ts'
import { type Stage, setStage } from '../helpers/server/stage.ts'
import { waitFor } from '../helpers/wait.ts'

/**
 * What lets its holder publish, control or connect elsewhere: names of trickle channels, credentials in URLs, tokens.
 * Viewers learn none of it, whatever fails and whatever other servers answer.
 */
const secrets = new Map<string, string>()
function secret(what: string): string {
  const text = `${what}-${randomBytes(6).toString('hex')}`
  secrets.set(what, text)
  return text
}
/** `user:password@`, whose forms in a header are secret as well. */
function credentials(what: string): string {
  const [user, password] = [secret(`${what}-user`), secret(`${what}-password`)]
  secrets.set(`${what}-basic`, Buffer.from(`${user}:${password}`).toString('base64'))
  return `${user}:${password}@`
}
const leaks = (text: string) => [...secrets].filter(([, value]) => text.includes(value)).map(([what]) => what)

/** Paths of trickle channels, which the log may have. */
const PATHS = /^(of-[a-z]+|livepeer|early-(none|other)|(control|egress|ingest|early-.*)-path)$/

const OFFER = readFileSync(new URL('../unit/webrtc/offers/whep-chrome.sdp', import.meta.url), 'utf8')
const TOKENS = { auth: secret('auth-token'), view: secret('view-token'), jwt: `${secret('jwt')}-of-more-than-32-bytes` }
const operator = { authorization: `Bearer ${TOKENS.auth}` }
const viewer = { authorization: `Bearer ${TOKENS.view}` }

let stage: Stage
let elsewhere: StandInOrchestrator
let segments: Buffer[]
let talkative: Server
let feeding = true
let strict: AsyncDisposable & { port: number }
let mumbling: AsyncDisposable & { port: number }
let ports: Record<'gone' | 'rtmp' | 'srt', number>
const streams = new Set<string>()
const watched = new Map<string, Recording>()

/** A server that repeats all it was asked in each refusal, as badly written ones do. */
function answer(asked: IncomingMessage, response: ServerResponse): void {
  const { url = '', method, headers } = asked
  if (url.startsWith('/feed/') && feeding) return void feed(response)
  if (url.includes('/next')) return void response.end('0')
  const basic = Buffer.from(headers.authorization?.split(' ')[1] ?? '', 'base64').toString('latin1')
  const said = `${method} ${url} ${decodeURIComponent(url)} ${JSON.stringify(headers)} ${basic}`
  response.writeHead(403, `No ${url}`, { location: url, 'www-authenticate': `Basic realm="${url}"`, 'x-asked': url })
  asked.resume()
  response.end(said)
}

async function feed(response: ServerResponse): Promise<void> {
  for (let i = 0; feeding && !response.destroyed; i++) {
    response.write(segments[i % segments.length])
    await waitFor('the next second', () => sleep(500).then(() => true))
  }
  response.end()
}

beforeAll(async () => {
  segments = await makeSegments(12)
  elsewhere = await StandInOrchestrator.open()
  talkative = createServer(answer).listen(0, '127.0.0.1')
  await once(talkative, 'listening')
  const [gone = 0, rtmp = 0, srt = 0] = await Promise.all([freePort(), freePort(), freePort()])
  ports = { gone, rtmp, srt }
  credentials('rtsp')
  strict = await answerAlways(
    `RTSP/1.0 401 Not ${secrets.get('rtsp-user')}:${secrets.get('rtsp-password')} for ${secret('rtsp-path')}\r\nCSeq: {CSeq}\r\n` +
      `WWW-Authenticate: Basic realm="${secrets.get('rtsp-basic')}"\r\n\r\n`,
  )
  mumbling = await answerAlways(`${secret('mumbled')} is unknown\r\n\r\n`)
  const hosts = [gone, rtmp, srt, strict.port, mumbling.port, portOf(talkative)].map((port) => `127.0.0.1:${port}`)
  stage = await setStage({
    env: {
      ...{ AUTH_TOKEN: TOKENS.auth, VIEW_TOKEN: TOKENS.view, JWT_SECRET: TOKENS.jwt, ...SMALL_FRAMES },
      ...{ MAX_STREAMS: '8', MAX_SESSIONS_PER_MINUTE: '0', STREAM_LINGER_SECONDS: '1', INPUT_TIMEOUT_SECONDS: '60' },
      ICE_SERVERS: '[{"urls":"turn:turn.example:3478"}]',
      TURN_SECRET: secret('turn'),
      WEBHOOK_URL: `http://${credentials('webhook')}127.0.0.1:${gone}/${secret('webhook-path')}?key=${secret('webhook-key')}`,
      WEBHOOK_SECRET: `whsec_${Buffer.from(secret('webhook-secret').padEnd(32)).toString('base64')}`,
      ALLOWED_URLS: [
        elsewhere.origin,
        ...['http', 'rtsp', 'rtmp', 'srt'].flatMap((s) => hosts.map((h) => `${s}://${h}`)),
      ].join(),
    },
  })
})
afterAll(async () => {
  feeding = false
  for (const watching of watched.values()) watching.stop()
  await stage?.[Symbol.asyncDispose]()
  talkative?.closeAllConnections()
  talkative?.close()
  await strict?.[Symbol.asyncDispose]()
  await mumbling?.[Symbol.asyncDispose]()
  await deadline(Promise.resolve(elsewhere?.[Symbol.asyncDispose]()), 5000, 'the end of the orchestrator').catch(
    () => {},
  )
})

const portOf = (server: Server) => (server.address() as AddressInfo).port
const events = (stream: string) => watched.get(stream)?.bytes().toString() ?? ''
/** Of the server that repeats what it is asked. */
const loose = (what: string) =>
  `http://${credentials(what)}127.0.0.1:${portOf(talkative)}/ai/trickle/${secret(`${what}-path`)}?key=${secret(`${what}-key`)}`

/** A viewer opens the stream before there is a publisher, and follows its events. */
async function watch(stream: string): Promise<void> {
  const headers = { 'content-type': 'application/sdp', ...viewer }
  const opened = await http('POST', `${stage.url}/whep/${stream}`, { headers, body: OFFER })
  expect(opened.status).toBe(201)
  expect(JSON.stringify(opened.headers)).toContain('credential=')
  expect(leaks(JSON.stringify(opened.headers) + opened.text)).toEqual([])
  watched.set(stream, await record(`${stage.url}/streams/${stream}/events?lastEventId=0`, viewer))
  streams.add(stream)
}

/** Four channels at the orchestrator, whose names are secret, and media on the first. */
function channels(what: string) {
  const stream = new OrchestratedStream(elsewhere, secret(what))
  const at = (suffix: string) =>
    `${elsewhere.url(stream.id + suffix)}?key=${secrets.get(`${what}-key`) ?? secret(`${what}-key`)}`
  const urls = { subscribeUrl: at(''), publishUrl: at('-out'), controlUrl: at('-control'), eventsUrl: at('-events') }
  return { stream, urls, publishing: stream.publish(segments).catch(() => {}) }
}
const start = (body: object) => httpJson('POST', `${stage.url}/streams`, { headers: operator, body })

/** Head and beginning of an answer that may be endless. */
function peek(method: string, path: string): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const asked = request(`${stage.url}${path}`, { method, headers: viewer, agent: false })
    // Polls of segments to come are not answered before.
    const isPoll = path.startsWith('/trickle/')
    const none = () => (isPoll ? resolve({ status: 0, text: '' }) : reject(new Error(`no answer to ${method} ${path}`)))
    const timer = setTimeout(
      () => {
        asked
          .off('error', reject)
          .on('error', () => {})
          .destroy()
        none()
      },
      isPoll ? 300 : 20_000,
    )
    asked.once('error', reject)
    asked.once('response', (response) => {
      const { statusCode: status = 0, statusMessage, rawHeaders } = response
      const chunks: Buffer[] = []
      const end = () => {
        clearTimeout(timer)
        clearTimeout(enough)
        asked
          .off('error', reject)
          .on('error', () => {})
          .destroy()
        resolve({ status, text: [statusMessage, ...rawHeaders, Buffer.concat(chunks).toString()].join('\n') })
      }
      const enough = setTimeout(end, 500)
      response
        .on('data', (chunk: Buffer) => chunks.push(chunk))
        .on('error', () => {})
        .once('close', end)
    })
    asked.end()
  })
}

/** Expects no secret in anything that a viewer may read, of streams that are or were there. */
async function expectNothingLearned(alive: string[] = []): Promise<void> {
  const { json } = await httpJson<{ paths: Record<string, object> }>('GET', `${stage.url}/openapi.json`)
  const names = [...streams]
  const all = Object.entries(json.paths).flatMap(([path, methods]) => ('get' in methods ? [path] : []))
  const targets = all
    .flatMap((path) => (path.includes('{stream}') ? names.map((name) => path.replace('{stream}', name)) : [path]))
    .flatMap((path) =>
      path.includes('{channel}')
        ? [
            '_changes',
            ...names.flatMap((name) => [`${name}-out`, `${name}-control`, `${name}-events`, `${name}-data`]),
          ].flatMap((channel) => ['next', '-1'].map((seq) => path.replace('{channel}', channel).replace('{seq}', seq)))
        : [path],
    )
    .map((path) => path.replace('{name}', 'effects').replaceAll(/\{\w+\}/g, 'none'))
  const found: string[] = []
  const told: Record<string, number> = {}
  const ask = async (method: string, path: string) => {
    const { status, text } = await peek(method, path)
    if (method === 'GET') told[path] = status
    found.push(...leaks(text).map((what) => `${what} in ${method} ${path}: ${status} ${text.slice(0, 2000)}`))
  }
  const rest = [...targets, '/', '/nothing']
  const work = async () => {
    for (let path = rest.pop(); path !== undefined; path = rest.pop()) {
      for (const method of path.startsWith('/trickle/') ? ['GET'] : ['GET', 'HEAD', 'OPTIONS']) await ask(method, path)
    }
  }
  await Promise.all(Array.from({ length: 8 }, work))
  for (const name of names) found.push(...leaks(events(name)).map((what) => `${what} in the events of ${name}`))
  expect(found).toEqual([])
  expect(told['/metrics']).toBe(200)
  for (const name of alive) expect([name, told[`/streams/${name}`]]).toEqual([name, 200])
}

describe('viewers do not learn what permits to write elsewhere', () => {
  it.each<[string, string, (loose: string) => object, string]>([
    ['a control channel that refuses', 'control', (url) => ({ controlUrl: url }), '"source":"control"'],
    ['an output channel that refuses', 'egress', (url) => ({ publishUrl: url }), '"source":"egress"'],
    ['an input channel that refuses', 'ingest', (url) => ({ subscribeUrl: url }), '"source":"ingest"'],
  ])('from %s and repeats what it is asked', async (_, name, change, event) => {
    await watch(name)
    const { stream, urls } = channels(`of-${name}`)
    const { status } = await start({ ...urls, name, ...change(loose(name)) })
    expect(status).toBe(201)
    await waitFor('the event', () => events(name).includes(event))
    const origin = `http://127.0.0.1:${portOf(talkative)}`
    expect(events(name)).toContain(`${origin}: status 403`)
    await expectNothingLearned(name === 'control' ? [name] : [])
    await http('DELETE', `${stage.url}/streams/${name}`, { headers: operator })
    stream.end()
  })

  it('from a start that fails', async () => {
    await watch('early')
    const { stream, urls } = channels('of-early')
    const at = (host: string) => `http://${credentials(`early-${host}`)}${host}/${secret(`early-${host}-path`)}`
    for (const [field, url] of [
      ['subscribeUrl', elsewhere.url(secret('early-none'))],
      ['publishUrl', at(`127.0.0.1:${ports.gone}`)],
      ['controlUrl', elsewhere.url(secret('early-other'))],
      ['eventsUrl', at(`127.0.0.1:${portOf(talkative)}`).replace('/early', '/next/early')],
      ['eventsUrl', at('10.0.0.1')],
      ['publishUrl', `ftp://${credentials('early-ftp')}127.0.0.1/x`],
    ] as const) {
      const { status, json } = await start({ ...urls, name: 'early', [field]: url })
      if (status !== 201) expect([400, 502], JSON.stringify(json)).toContain(status)
      expect(leaks(JSON.stringify(json))).toEqual([])
    }
    await expectNothingLearned()
    stream.end()
  })

  it('from pulls whose servers are lost', async () => {
    const clip = await stage.clip(LONG_CLIP)
    const key = secret('rtmp-key')
    const rtmp = `rtmp://127.0.0.1:${ports.rtmp}/live/${key}`
    const srt = `srt://127.0.0.1:${ports.srt}?passphrase=${secret('srt-passphrase')}&streamid=${secret('srt-id')}`
    const peers = await Promise.all([
      serveClip(clip, ['-listen', '1', '-f', 'flv', rtmp]),
      serveClip(clip, ['-f', 'mpegts', `${srt}&mode=listener`]),
    ])
    const web = loose('mpegts').replace('/ai/trickle/', '/feed/')
    const pulls = { 'by-rtmp': { url: rtmp }, 'by-srt': { url: srt }, 'by-http': { url: web, type: 'mpegts' } }
    try {
      for (const [name, input] of Object.entries(pulls)) {
        // Until its server listens, it is refused.
        await waitFor(`the start of ${name}`, async () => {
          const { status, json } = await start({ name, input })
          if (status !== 201) throw new Error(JSON.stringify(json))
          return true
        })
        streams.add(name)
        watched.set(name, await record(`${stage.url}/streams/${name}/events?lastEventId=0`, viewer))
      }
      await expectNothingLearned(Object.keys(pulls))
    } finally {
      feeding = false
      for (const peer of peers) peer.process.kill('SIGKILL')
    }
    for (const name of Object.keys(pulls)) {
      await waitFor(`the loss of ${name}`, async () => {
        const { text } = await http('GET', `${stage.url}/streams/${name}`, { headers: viewer })
        return /"failures":[2-9]/.test(text) && events(name).includes('"source":"ingest"')
      })
    }
    await expectNothingLearned(Object.keys(pulls))
    for (const name of Object.keys(pulls)) await http('DELETE', `${stage.url}/streams/${name}`, { headers: operator })
  })

  it('from pulls that do not begin', async () => {
    const at = (scheme: string, what: string) =>
      `${scheme}://${credentials(what)}127.0.0.1:${ports.gone}/live/${secret(`${what}-path`)}`
    for (const input of [
      {
        url: `rtsp://${secrets.get('rtsp-user')}:${secrets.get('rtsp-password')}@127.0.0.1:${strict.port}/${secrets.get('rtsp-path')}`,
      },
      { url: `rtsp://127.0.0.1:${mumbling.port}/${secrets.get('mumbled')}/x` },
      { url: at('rtmp', 'none-rtmp') },
      { url: at('rtsp', 'none-rtsp') },
      { url: at('http', 'none-whep'), type: 'whep', token: secret('none-token') },
      { url: loose('whep'), type: 'whep' },
      { url: loose('whep-token').replace(/\/\/.*@/, '//'), type: 'whep', token: secret('whep-token-token') },
    ]) {
      const { status, json } = await start({ name: 'early', input })
      expect(status, JSON.stringify(json)).toBe(502)
      expect(leaks(JSON.stringify(json))).toEqual([])
    }
    await expectNothingLearned()
  })

  it('from outputs that fail, and from a publisher with a token in its URL', async () => {
    const claims = new SignJWT({ millrace: { publish: ['pushed'] } }).setProtectedHeader({ alg: 'HS256' })
    const token = await claims.setExpirationTime('10m').sign(new TextEncoder().encode(TOKENS.jwt))
    secrets.set('publisher-jwt', token.split('.')[2]!)
    const begun = await http('POST', `${stage.url}/test-pattern/pushed?jwt=${token}`)
    expect(begun.status, begun.text).toBe(201)
    expect(leaks(JSON.stringify(begun.headers) + begun.text)).toEqual([])
    streams.add('pushed')
    watched.set('pushed', await record(`${stage.url}/streams/pushed/events?lastEventId=0`, viewer))
    const outputs = `${stage.url}/streams/pushed/outputs`
    const targets = [
      { url: `rtmp://127.0.0.1:${ports.gone}/live/${secret('push-rtmp')}` },
      { url: `srt://127.0.0.1:${ports.gone}?passphrase=${secret('push-srt')}` },
      {
        url: `rtsp://${secrets.get('rtsp-user')}:${secrets.get('rtsp-password')}@127.0.0.1:${strict.port}/${secrets.get('rtsp-path')}`,
      },
      { url: `rtsp://127.0.0.1:${mumbling.port}/x/${secrets.get('mumbled')}` },
      { url: loose('push-whip'), type: 'whip' },
      { url: loose('push-whip-token').replace(/\/\/.*@/, '//'), type: 'whip', token: secret('push-token') },
      { url: loose('push-trickle'), type: 'trickle' },
    ]
    for (const body of targets) {
      const { status, json } = await httpJson('POST', outputs, { headers: operator, body })
      expect(status, JSON.stringify(json)).toBe(201)
      expect(leaks(JSON.stringify(json))).toEqual([])
    }
    await waitFor('failures of all', async () => {
      const { json } = await httpJson<{ failures: number }[]>('GET', outputs, { headers: viewer })
      return json.length === targets.length && json.every(({ failures }) => failures > 0)
    })
    expect(events('pushed').match(/"status":"lost"/g)?.length).toBeGreaterThanOrEqual(targets.length)
    await expectNothingLearned(['pushed'])
    await http('DELETE', `${stage.url}/streams/pushed`, { headers: operator })
  })

  it('once channels are deleted, and once their server is gone', async () => {
    for (const name of ['deleted', 'gone']) await watch(name)
    const [deleted, gone] = [channels('of-deleted'), channels('of-gone')]
    for (const [name, { urls }] of [
      ['deleted', deleted],
      ['gone', gone],
    ] as const) {
      expect((await start({ ...urls, name, params: {} })).status).toBe(201)
    }
    const livepeer = await elsewhere.start(stage.url, {
      headers: operator,
      body: { manifest_id: 'manifest-1', model_id: 'noop' },
    })
    secrets.set('livepeer', livepeer.id)
    void livepeer.publish(segments).catch(() => {})
    expect(livepeer.answer?.status, livepeer.answer?.text).toBe(200)
    const session = await waitFor('its stream', async () => {
      const { json } = await httpJson<{ name: string }[]>('GET', `${stage.url}/streams`, { headers: viewer })
      return json.find(({ name }) => name.startsWith('livepeer-'))?.name
    })
    streams.add(session)
    watched.set(session, await record(`${stage.url}/streams/${session}/events?lastEventId=0`, viewer))
    await expectNothingLearned(['deleted', 'gone', session])
    elsewhere.trickle.get(`${deleted.stream.id}-out`)?.close()
    await waitFor('the end of the first', () => events('deleted').includes('"type":"ended"'))
    elsewhere.vanish()
    for (const name of ['gone', session]) {
      await waitFor(`the end of ${name}`, () => events(name).includes('"type":"ended"'), { limitMs: 60_000 })
    }
    expect(events('gone')).toContain(`${elsewhere.origin}: ECONNREFUSED`)
    await expectNothingLearned()
    for (const { stream } of [deleted, gone]) stream.end()
    livepeer.end()
  })

  it('nor does the log have more than paths of trickle channels', () => {
    expect(stage.server.logs.named('remote stream started').length).toBeGreaterThan(0)
    expect(leaks(stage.server.logs.text).filter((what) => !PATHS.test(what))).toEqual([])
    expect(stage.server.logs.lines.filter(({ level }) => Number(level) >= 50)).toEqual([])
  })
})
