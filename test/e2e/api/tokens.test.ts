import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { LONG_CLIP } from '../../helpers/media/clip.ts'
import { startPublisher } from '../../helpers/media/publish.ts'
import { record } from '../../helpers/media/record.ts'
import { http } from '../../helpers/server/http.ts'
import { type Stage, setStage } from '../../helpers/server/stage.ts'

const SECRET = 'a secret of more than thirty-two characters'
const AUTH = 'the-static-token-of-the-operator'

type Claim = { publish?: string[]; view?: string[]; admin?: boolean }
const sign = (
  millrace: unknown,
  { secret = SECRET, expires = '5m' }: { secret?: string; expires?: string | number } = {},
) =>
  new SignJWT({ millrace })
    .setProtectedHeader({ alg: 'HS256' })
    .setExpirationTime(expires)
    .sign(new TextEncoder().encode(secret))
/** Other servers ask for user and password. */
const CREDENTIALS = 'server:pa55word'
const isKnown = ({ headers }: IncomingMessage) =>
  headers.authorization === `Basic ${Buffer.from(CREDENTIALS).toString('base64')}`
const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

describe('signed tokens', () => {
  let stage: Stage
  const { promise: keys, resolve: haveKeys } = Promise.withResolvers<Awaited<ReturnType<typeof generateKeyPair>>>()
  let jwks: Server
  beforeAll(async () => {
    haveKeys(await generateKeyPair('ES256'))
    const jwk = { ...(await exportJWK((await keys).publicKey)), kid: 'one', alg: 'ES256', use: 'sig' }
    jwks = createServer((request, response) =>
      response.writeHead(isKnown(request) ? 200 : 401).end(JSON.stringify({ keys: [jwk] })),
    ).listen(0, '127.0.0.1')
    await once(jwks, 'listening')
    const { port } = jwks.address() as AddressInfo
    stage = await setStage({
      env: {
        AUTH_TOKEN: AUTH,
        JWT_SECRET: SECRET,
        JWKS_URL: `http://${CREDENTIALS}@127.0.0.1:${port}/keys`,
        WARM_PIPELINES: '0',
        LOG_LEVEL: 'trace',
      },
    })
  })
  afterAll(async () => {
    await stage?.[Symbol.asyncDispose]()
    jwks?.close()
  })

  const ask = async (method: string, path: string, token?: string, body?: unknown) =>
    (
      await http(method, `${stage.url}${path}`, {
        headers: { ...(token && bearer(token)), ...(body !== undefined && { 'content-type': 'application/json' }) },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      })
    ).status

  it('publish and view by URL, for players and publishers that cannot set headers, and stay out of the log', async () => {
    const publisher = await sign({ publish: ['cam-*'] } satisfies Claim)
    const viewer = await sign({ view: ['cam-1'] } satisfies Claim)
    const clip = await stage.clip(LONG_CLIP)
    await using _ = await startPublisher({ input: clip, url: `${stage.url}/ingest/cam-1?jwt=${publisher}` })
    await expect.poll(() => ask('GET', '/streams/cam-1', viewer), { timeout: 20_000 }).toBe(200)
    await using recording = await record(`${stage.url}/out/cam-1.ts?jwt=${viewer}`)
    await expect.poll(() => recording.bytes().length, { timeout: 20_000 }).toBeGreaterThan(100_000)

    const post = (kind: string, stream: string, token: string) =>
      http('POST', `${stage.url}/${kind}/${stream}?jwt=${token}`, {
        headers: { 'content-type': 'application/sdp' },
        body: OFFER,
      })
    const watched = await post('whep', 'cam-1', viewer)
    expect(watched.status, watched.text).toBe(201)
    const session = new URL(String(watched.headers.location), `${stage.url}/whep/cam-1`)
    expect((await http('DELETE', session.href)).status).toBe(200)
    expect((await post('whep', 'cam-2', viewer)).status).toBe(401)
    expect((await post('whip', 'cam-1', viewer)).status).toBe(401)
    for (const token of [publisher, viewer]) expect(stage.server.logs.text).not.toContain(token.split('.')[2])
  })

  it.each<[string, Claim, Record<string, number>]>([
    [
      'view of one stream',
      { view: ['cam-1'] },
      { 'GET cam-1': 200, 'GET other': 401, 'PUT cam-1': 401, 'GET all': 401 },
    ],
    [
      'publish of some',
      { publish: ['cam-*'] },
      { 'GET cam-1': 200, 'GET other': 401, 'PUT cam-1': 200, 'PUT other': 401, 'GET all': 401 },
    ],
    ['view of all', { view: ['*'] }, { 'GET cam-1': 200, 'GET other': 404, 'GET all': 200, 'PUT cam-1': 401 }],
    ['a pattern in the middle', { view: ['c*m-*'] }, { 'GET cam-1': 200, 'GET other': 401 }],
    ['a part of the name', { view: ['cam'] }, { 'GET cam-1': 401 }],
    ['an empty claim', {}, { 'GET cam-1': 401, 'GET all': 401 }],
    ['admin', { admin: true }, { 'GET cam-1': 200, 'PUT cam-1': 200, 'PUT other': 404, 'GET all': 200 }],
  ])('%s', async (_, claim, expected) => {
    const started = await ask('GET', '/streams/cam-1', AUTH)
    if (started !== 200) expect(await ask('POST', '/test-pattern/cam-1?pipeline=effects', AUTH)).toBe(201)
    const token = await sign(claim)
    const requests: Record<string, () => Promise<number>> = {
      'GET cam-1': () => ask('GET', '/streams/cam-1', token),
      'GET other': () => ask('GET', '/streams/other', token),
      'GET all': () => ask('GET', '/streams', token),
      'PUT cam-1': () => ask('PUT', '/streams/cam-1/params', token, {}),
      'PUT other': () => ask('PUT', '/streams/other/params', token, {}),
    }
    const got = Object.fromEntries(
      await Promise.all(Object.keys(expected).map(async (name) => [name, await requests[name]?.()])),
    )
    expect(got).toEqual(expected)
  })

  it('is refused with the reason when expired, foreign, unsigned or malformed', async () => {
    const admin = { admin: true }
    const unsigned = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${Buffer.from(JSON.stringify({ millrace: admin })).toString('base64url')}.`
    const refusals: [string, string][] = [
      [await sign(admin, { expires: 1 }), 'the token has expired'],
      [await sign(admin, { secret: `${SECRET}!` }), 'the token is not the right one'],
      [unsigned, 'the token is not the right one'],
      ['nonsense', 'the token is not the right one'],
      [await sign({ admin: 'yes' }), 'the token has no claim "millrace"'],
      [await sign(undefined), 'the token has no claim "millrace"'],
    ]
    for (const [token, why] of refusals) {
      const { status, text } = await http('GET', `${stage.url}/streams`, { headers: bearer(token) })
      expect([status, JSON.parse(text).detail]).toEqual([401, expect.stringContaining(why)])
    }
    // AUTH_TOKEN is not accepted in URLs.
    expect((await http('GET', `${stage.url}/streams?jwt=${AUTH}`)).status).toBe(401)
  })

  it('accepts those signed by the keys at JWKS_URL', async () => {
    const { privateKey } = await keys
    const token = await new SignJWT({ millrace: { admin: true } })
      .setProtectedHeader({ alg: 'ES256', kid: 'one' })
      .setExpirationTime('1m')
      .sign(privateKey)
    expect(await ask('GET', '/streams', token)).toBe(200)
  })
})

describe('AUTH_URL', () => {
  let stage: Stage
  let judge: Server
  const asked: Record<string, unknown>[] = []
  const rules = { answer: (_: Record<string, unknown>): number => 403 }
  beforeAll(async () => {
    judge = createServer(async (request: IncomingMessage, response) => {
      const question = JSON.parse(Buffer.concat(await Array.fromAsync(request)).toString())
      asked.push(question)
      response.writeHead(isKnown(request) ? rules.answer(question) : 401).end()
    }).listen(0, '127.0.0.1')
    await once(judge, 'listening')
    const { port } = judge.address() as AddressInfo
    stage = await setStage({ env: { AUTH_URL: `http://${CREDENTIALS}@127.0.0.1:${port}/may`, WARM_PIPELINES: '0' } })
  })
  afterAll(async () => {
    await stage?.[Symbol.asyncDispose]()
    judge?.close()
  })

  it('receives the action and the stream, admits with 2xx, and is asked once by concurrent requests', async () => {
    rules.answer = ({ token, action }) => (token === 'guest' && action === 'view' ? 204 : 302)
    const get = (token?: string) =>
      http('GET', `${stage.url}/streams/cam`, { ...(token && { headers: bearer(token) }) })
    const answers = await Promise.all(Array.from({ length: 20 }, () => get('guest')))
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([404]))
    expect(asked).toEqual([{ action: 'view', stream: 'cam', address: '127.0.0.1', token: 'guest' }])
    expect((await get()).status).toBe(401)
    const refused = await http('POST', `${stage.url}/test-pattern/cam`, { headers: bearer('guest') })
    expect(refused.status).toBe(401)
    expect(asked.at(-1)).toEqual({ action: 'publish', stream: 'cam', address: '127.0.0.1', token: 'guest' })
  })

  it('admits nobody while it is unreachable, and the error names it rather than the token', async () => {
    judge.close()
    judge.closeAllConnections()
    const { status, text } = await http('GET', `${stage.url}/streams/later`, { headers: bearer('guest') })
    expect([status, JSON.parse(text).detail]).toEqual([502, expect.stringContaining('AUTH_URL')])
    await stage.server.logs.waitFor(({ msg }) => Boolean(msg?.startsWith('AUTH_URL did not respond')), 'about it')
    expect(stage.server.logs.text).not.toContain('pa55word')
  })
})

const OFFER = [
  'v=0',
  'o=- 1 1 IN IP4 127.0.0.1',
  's=-',
  't=0 0',
  'a=group:BUNDLE 0',
  'm=video 9 UDP/TLS/RTP/SAVPF 96',
  'c=IN IP4 0.0.0.0',
  'a=mid:0',
  'a=recvonly',
  'a=rtcp-mux',
  'a=ice-ufrag:abcd',
  'a=ice-pwd:abcdefghijklmnopqrstuvwx',
  `a=fingerprint:sha-256 ${Array(32).fill('AB').join(':')}`,
  'a=setup:actpass',
  'a=rtpmap:96 H264/90000',
  'a=fmtp:96 packetization-mode=1;profile-level-id=42e01f',
  '',
].join('\r\n')
