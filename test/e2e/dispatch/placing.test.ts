import { createHash } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { inOrder, seedOf } from '../../../src/dispatch/servers/order.ts'
import { startDispatch, type TestDispatcher } from '../../helpers/livekit/dispatch.ts'
import { holdersOf, statusOf, TestRooms } from '../../helpers/livekit/rooms.ts'
import { LiveKitServer } from '../../helpers/livekit/server.ts'
import { http, httpJson } from '../../helpers/server/http.ts'
import { SMALL_FRAMES, startServer, type TestServer } from '../../helpers/server/server.ts'
import { waitFor } from '../../helpers/wait.ts'

const RULES = 'rules:\n  - room: ruled-*\n    pipeline: effects\n    params: { effect: invert }\n'

let livekit: LiveKitServer
let source: TestServer
let servers: [TestServer, TestServer]
let dispatcher: TestDispatcher
let rooms: TestRooms
let folder: string

beforeAll(async () => {
  livekit = await LiveKitServer.start()
  folder = await mkdtemp(join(tmpdir(), 'mr-rules-'))
  await writeFile(join(folder, 'rules.yaml'), RULES)
  const env = { ...livekit.env, ...SMALL_FRAMES, WARM_PIPELINES: '0', STREAM_LINGER_SECONDS: '2', AUTH_TOKEN: TOKEN }
  const withPlaces = (places: number) =>
    startServer({ env: { ...env, MAX_STREAMS: String(places), HOST: '127.0.0.1' } })
  const start = { ...SMALL_FRAMES, WARM_PIPELINES: '0', MAX_STREAMS: '8', ALLOWED_URLS: livekit.url }
  ;[source, ...servers] = await Promise.all([startServer({ env: start }), withPlaces(1), withPlaces(8)])
  dispatcher = await startDispatch(
    livekit,
    servers.map(({ url }) => url),
    { AUTH_TOKEN: TOKEN, DISPATCH_RULES: join(folder, 'rules.yaml') },
  )
  rooms = new TestRooms(livekit, source.url)
  expect((await http('POST', `${source.url}/test-pattern/clip`)).status).toBe(201)
})
afterAll(async () => {
  await dispatcher?.[Symbol.asyncDispose]()
  await Promise.all([source, ...(servers ?? [])].map((one) => one?.stop()))
  await livekit?.[Symbol.asyncDispose]()
  await rm(folder, { recursive: true, force: true })
})

const TOKEN = 'a-token-of-the-servers'
const AUTH = { headers: { authorization: `Bearer ${TOKEN}` } }
const ASKS = '{"millrace":{"pipeline":"effects","params":{"effect":"grayscale"}}}'
const metric = async (name: string) => {
  const { text } = await http('GET', `${dispatcher.url}/metrics`)
  return Number(new RegExp(`^millrace_dispatch_${name} (\\S+)$`, 'm').exec(text)?.[1])
}
const placements = (name: string) => dispatcher.logs.named('room placed').filter(({ room }) => room === name)
/** Names of rooms for which that server is the first choice. */
function* roomsOf(first: string, prefix: string): Generator<string> {
  const ranked = servers.map(({ url }) => ({ name: url, seed: seedOf(url) }))
  for (let n = 0; ; n++) if (inOrder(`${prefix}-${n}`, ranked).next().value === first) yield `${prefix}-${n}`
}

describe('a room', () => {
  it('that requests it is processed until its publisher has left', async () => {
    const leave = await rooms.publish('asks', 'clip', { metadata: ASKS })
    await rooms.processed('asks')
    const [at] = await holdersOf('asks', servers)
    const { json } = await statusOf(at!, 'asks')
    expect(json).toMatchObject({
      pipeline: 'effects',
      params: { value: { effect: 'grayscale' } },
      ingest: { kind: 'livekit' },
    })
    expect(await metric('placements_total{cause="new"}')).toBeGreaterThan(0)
    expect(await metric('webhooks_total{outcome="accepted"}')).toBeGreaterThan(0)
    await leave()
    await waitFor('the end of the stream', async () => (await holdersOf('asks', servers)).length === 0)
  })

  it('is processed by the rules, and not at all without a request or a rule', async () => {
    const leaveNone = await rooms.publish('none', 'clip')
    const leaveNo = await rooms.publish('ruled-not', 'clip', { metadata: '{"millrace":false}' })
    const leave = await rooms.publish('ruled-1', 'clip', { metadata: 'theirs' })
    await rooms.processed('ruled-1')
    const [at] = await holdersOf('ruled-1', servers)
    expect((await statusOf(at!, 'ruled-1')).json.params?.value).toMatchObject({ effect: 'invert' })
    expect([rooms.joins('none'), rooms.joins('ruled-not')]).toEqual([0, 0])
    await Promise.all([leave(), leaveNone(), leaveNo()])
    await waitFor('the end of the stream', async () => (await holdersOf('ruled-1', servers)).length === 0)
  })

  it('goes to the next server when the first one is full', async () => {
    const [small, large] = servers
    await waitFor('a free place', async () => (await holdersOf('ruled-1', [small])).length === 0)
    const names = roomsOf(small.url, 'full').take(2).toArray()
    const leaves = await Promise.all(names.map((name) => rooms.publish(name, 'clip', { metadata: ASKS })))
    await Promise.all(names.map((name) => rooms.processed(name)))
    const holders = await Promise.all(names.map((name) => holdersOf(name, servers)))
    expect(holders.flat().toSorted()).toEqual([small.url, large.url].toSorted())
    expect(names.map((name) => placements(name).length)).toEqual([1, 1])
    await Promise.all(leaves.map((leave) => leave()))
    await waitFor(
      'the end',
      async () => (await Promise.all(names.map((name) => holdersOf(name, servers)))).flat().length === 0,
    )
  })

  it('seen by two dispatchers is processed once', async () => {
    const urls = servers.map(({ url }) => url)
    await using second = await startDispatch(livekit, urls, { AUTH_TOKEN: TOKEN })
    const names = ['twice-1', 'twice-2', 'twice-3']
    const leaves = await Promise.all(names.map((name) => rooms.publish(name, 'clip', { metadata: ASKS })))
    await Promise.all(names.map((name) => rooms.processed(name)))
    const placed = () => [dispatcher, second].flatMap(({ logs }) => logs.named('room placed'))
    await waitFor('both dispatchers', () => names.every((name) => placed().some(({ room }) => room === name)))
    const holders = await Promise.all(names.map((name) => holdersOf(name, servers)))
    expect(holders.map(({ length }) => length)).toEqual([1, 1, 1])
    expect(names.map((name) => rooms.joins(name))).toEqual([1, 1, 1])
    await Promise.all(leaves.map((leave) => leave()))
    await waitFor(
      'the end',
      async () => (await Promise.all(names.map((name) => holdersOf(name, servers)))).flat().length === 0,
    )
  })
})

describe('the dispatcher', () => {
  it('accepts webhooks of LiveKit only', async () => {
    const body = JSON.stringify({ event: 'track_published', room: { name: 'forged' }, track: { type: 'VIDEO' } })
    const send = async (secret: string, signed = body) => {
      const token = await new SignJWT({ sha256: createHash('sha256').update(signed).digest('base64') })
        .setProtectedHeader({ alg: 'HS256' })
        .setIssuer(livekit.apiKey)
        .setExpirationTime('5m')
        .sign(new TextEncoder().encode(secret))
      const headers = { authorization: token, 'content-type': 'application/webhook+json' }
      return await httpJson('POST', `${dispatcher.url}/livekit/webhook`, { body, headers })
    }
    expect(await send('another secret of thirty-two bytes and more')).toMatchObject({
      status: 401,
      json: { code: 'unauthorized' },
    })
    expect(await send(livekit.apiSecret, '{}')).toMatchObject({ status: 401 })
    expect((await http('POST', `${dispatcher.url}/livekit/webhook`, { body })).status).toBe(401)
    expect(await metric('webhooks_total{outcome="refused"}')).toBe(3)
    expect((await send(livekit.apiSecret)).status).toBe(204)
    const large = await http('POST', `${dispatcher.url}/livekit/webhook`, { body: 'x'.repeat(2_000_000) })
    expect(large.status).toBe(413)
  })

  it('reports its status, while servers hide their rooms from others', async () => {
    await waitFor('the rooms', async () => (await http('GET', `${dispatcher.url}/ready`)).status === 200)
    const { json } = await httpJson('GET', `${dispatcher.url}/ready`)
    expect(json).toMatchObject({ ready: true, servers: 2, reached: 2, waiting: 0 })
    expect((await http('GET', `${dispatcher.url}/health`)).status).toBe(200)
    await waitFor('all places', async () => (await metric('streams_free')) === 9)
    expect((await http('GET', `${servers[0].url}/placements`)).status).toBe(401)
    expect((await http('HEAD', `${servers[0].url}/placements`, AUTH)).status).toBe(200)
  })
})
