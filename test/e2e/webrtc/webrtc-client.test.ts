import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { PushStatus } from '../../../src/remote/push/push.ts'
import type { StreamStatus } from '../../../src/stream/status.ts'
import { answerAlways, freePort } from '../../helpers/media/media-peer.ts'
import { decodeNumbers } from '../../helpers/media/probe-ts.ts'
import { type Publisher, startPublisher } from '../../helpers/media/publish.ts'
import { record } from '../../helpers/media/record.ts'
import { http, httpJson } from '../../helpers/server/http.ts'
import { startServer, type TestServer } from '../../helpers/server/server.ts'
import { type Stage, setStage } from '../../helpers/server/stage.ts'
import { waitFor } from '../../helpers/wait.ts'

const CLIP = { seconds: 20, width: 320, height: 180, fps: 30, gop: 15, audio: true } as const
const TOKEN = 'TopSecretToken'
const AUTH = { authorization: `Bearer ${TOKEN}` }

/** The server under test, and a remote Millrace that requires a token. */
let stage: Stage
let peer: TestServer
let port: number
let publisher: Publisher
let clip: string
let strange: Record<string, AsyncDisposable & { port: number }>

const startPeer = () =>
  startServer({
    env: { PORT: String(port), AUTH_TOKEN: TOKEN, VIEW_TOKEN: TOKEN, MAX_STREAMS: '8', STREAM_LINGER_SECONDS: '1' },
  })
async function publish(): Promise<void> {
  const input = { input: clip, loop: -1, url: `${peer.url}/ingest/source` }
  publisher = await startPublisher({
    ...input,
    outputArgs: ['-c', 'copy', '-headers', `Authorization: Bearer ${TOKEN}\r\n`, '-f', 'mpegts'],
  })
  await waitFor('the source', async () => (await peerStatus('source')).json.egress?.fps > 0)
}
const peerStatus = (name: string) => httpJson<StreamStatus>('GET', `${peer.url}/streams/${name}`, { headers: AUTH })

beforeAll(async () => {
  port = await freePort()
  strange = {
    redirect: await answerAlways('HTTP/1.1 307 X\r\nLocation: http://10.0.0.1/whep\r\nContent-Length: 0\r\n\r\n'),
    garbage: await answerAlways('HTTP/1.1 201 Created\r\nContent-Length: 5\r\n\r\nhello'),
    elsewhere: await answerAlways('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n'),
  }
  const origins = [port, ...Object.values(strange).map((one) => one.port)].map((one) => `http://127.0.0.1:${one}`)
  const env = { MAX_STREAMS: '8', STREAM_LINGER_SECONDS: '1', INPUT_TIMEOUT_SECONDS: '3', ALLOWED_URLS: origins.join() }
  ;[stage, peer] = await Promise.all([setStage({ env }), startPeer()])
  clip = await stage.clip(CLIP)
  await publish()
})
afterAll(async () => {
  await publisher?.kill()
  await Promise.all([stage?.[Symbol.asyncDispose](), peer?.stop()])
  for (const one of Object.values(strange ?? {})) await one[Symbol.asyncDispose]()
})

type Answer = StreamStatus & { detail?: string }
const whep = (more: object = {}) => ({ type: 'whep', url: `${peer.url}/whep/source`, token: TOKEN, ...more })
const pull = (name: string, input: object) =>
  httpJson<Answer>('POST', `${stage.url}/streams`, { body: { name, input } })
const end = (name: string) => http('DELETE', `${stage.url}/streams/${name}`)

async function numbersOf(url: string, headers: Record<string, string> = {}): Promise<number[]> {
  await using out = await record(url, headers)
  await waitFor('output', () => out.bytes().length > 150_000)
  out.stop()
  return (await decodeNumbers(out.bytes())).flatMap(({ number }) => (number === undefined ? [] : [number]))
}

/** The clip may restart in between. */
function expectInOrder(numbers: number[]): void {
  expect(numbers.length).toBeGreaterThan(5)
  expect(numbers.filter((number, i) => i > 0 && number <= (numbers[i - 1] as number)).length).toBeLessThan(2)
}

describe('a remote server', () => {
  it('is watched by WHEP by several streams at once, and told when they end', async () => {
    const both = await Promise.all([pull('one', whep()), pull('two', whep())])
    expect(both.map(({ status }) => status)).toEqual([201, 201])
    for (const name of ['one', 'two']) {
      const status = await stage.waitForStatus(name, 'media', ({ ingest }) => !!ingest?.fps && ingest.audio !== null)
      expect(status).toMatchObject({
        pull: { state: 'running', from: peer.url },
        ingest: { kind: 'whep', codec: 'h264' },
      })
      const numbers = await numbersOf(`${stage.url}/out/${name}.ts`)
      expectInOrder(numbers)
    }
    expect((await peerStatus('source')).json.egress.viewers).toBe(2)
    await Promise.all([end('one'), end('two')])
    await waitFor('no viewers', async () => (await peerStatus('source')).json.egress.viewers === 0)
  })

  it('is published to by WHIP, and told when that ends', async () => {
    await pull('sent', whep())
    const outputs = `${stage.url}/streams/sent/outputs`
    const body = { type: 'whip', url: `${peer.url}/whip/back`, token: TOKEN }
    const { status, json } = await httpJson<PushStatus>('POST', outputs, { body })
    expect([status, json.type]).toEqual([201, 'whip'])
    const back = await waitFor('the stream elsewhere', async () => {
      const { json } = await peerStatus('back')
      return json.ingest?.fps && json.ingest.audio ? json : false
    })
    expect(back.ingest).toMatchObject({ kind: 'whip', codec: 'h264', width: 320, height: 180 })
    const numbers = await numbersOf(`${peer.url}/out/back.ts`, AUTH)
    expectInOrder(numbers)
    const ended = await httpJson<PushStatus>('DELETE', `${outputs}/${json.id}`)
    expect([ended.json.state, ended.json.failures, ended.json.bytes > 10_000]).toEqual(['ended', 0, true])
    await waitFor('the end elsewhere', async () => {
      const { status, json } = await peerStatus('back')
      return status === 404 || !json.publishing
    })
    await end('sent')
  })

  it('is reconnected to when it was killed', async () => {
    await pull('back', whep())
    const outputs = `${stage.url}/streams/back/outputs`
    const body = { type: 'whip', url: `${peer.url}/whip/sent`, token: TOKEN }
    const { json } = await httpJson<PushStatus>('POST', outputs, { body })
    const output = (what: string, fits: (status: PushStatus) => boolean) =>
      waitFor(what, async () => {
        const [now] = (await httpJson<PushStatus[]>('GET', outputs)).json
        if (!now || !fits(now)) throw new Error(JSON.stringify(now))
        return now
      })
    await output('the output', ({ state }) => state === 'running')
    await publisher.kill()
    process.kill(peer.pid, 'SIGKILL')
    const lost = await stage.waitForStatus('back', 'the loss', ({ pull }) => pull?.state === 'waiting')
    expect(lost.pull?.lastError?.message).toMatch(/has sent nothing for 3 s|refuses the connection/)
    peer = await startPeer()
    await publish()
    await stage.waitForStatus(
      'back',
      'the source',
      ({ pull, ingest }) => pull?.state === 'running' && !!ingest?.fps,
      40_000,
    )
    const again = await output('the output again', ({ state, failures }) => failures > 0 && state === 'running')
    expect([again.id, again.lastError?.message]).toEqual([json.id, expect.stringContaining(peer.url)])
    await end('back')
  })

  it('that hangs is detected in both directions, and reconnected to', async () => {
    await pull('stopped', whep())
    const outputs = `${stage.url}/streams/stopped/outputs`
    const url = (name: string) => ({ type: 'whip', url: `${peer.url}/whip/${name}`, token: TOKEN })
    await httpJson('POST', outputs, { body: url('sent') })
    const output = async () => (await httpJson<PushStatus[]>('GET', outputs)).json[0]!
    await waitFor('the output', async () => (await output()).state === 'running')
    process.kill(peer.pid, 'SIGSTOP')
    const lost = await stage.waitForStatus('stopped', 'the loss', ({ pull }) => (pull?.failures ?? 0) > 0)
    expect(lost.pull?.lastError?.message).toMatch(/has sent nothing for 3 s/)
    await waitFor('the loss of the output', async () => (await output()).failures > 0)
    process.kill(peer.pid, 'SIGCONT')
    await stage.waitForStatus('stopped', 'the source', ({ pull, ingest }) => pull?.state === 'running' && !!ingest?.fps)
    await waitFor('the output again', async () => (await output()).state === 'running')
    await end('stopped')
  })

  it.each<[string, object, RegExp]>([
    ['a wrong token', { token: 'WrongSecret' }, /status 401/],
    ['a redirect', { at: 'redirect' }, /not followed/],
    ['garbage', { at: 'garbage' }, /no line v=0/],
  ])(
    'with %s gets no output, and the reason is reported',
    async (_, { at, token = TOKEN }: { at?: string; token?: string }, why) => {
      await pull('sends', whep())
      const url = at ? `http://127.0.0.1:${strange[at]!.port}/${TOKEN}` : `${peer.url}/whip/none`
      const outputs = `${stage.url}/streams/sends/outputs`
      await httpJson('POST', outputs, { body: { type: 'whip', url, token } })
      const lost = await waitFor('the second failure', async () => {
        const [now] = (await httpJson<PushStatus[]>('GET', outputs)).json
        return now && now.failures >= 2 && now
      })
      expect(lost.lastError?.message).toMatch(why)
      expect(JSON.stringify(lost)).not.toMatch(/Secret/)
      expect((await stage.status('sends')).publishing).toBe(true)
      await end('sends')
    },
  )

  it.each<[string, () => object, number, RegExp]>([
    ['a wrong token', () => whep({ token: 'WrongSecret' }), 502, /status 401/],
    ['a redirect', () => whep({ url: `http://127.0.0.1:${strange.redirect!.port}/${TOKEN}` }), 502, /not followed/],
    ['garbage', () => whep({ url: `http://127.0.0.1:${strange.garbage!.port}/${TOKEN}` }), 502, /no line v=0/],
    ['nothing there', () => whep({ url: `http://127.0.0.1:${strange.elsewhere!.port}/${TOKEN}` }), 502, /status 404/],
    ['a private address', () => whep({ url: 'http://10.0.0.1/whep/x' }), 400, /ALLOWED_URLS/],
    ['another scheme', () => whep({ url: 'rtsp://127.0.0.1/x' }), 400, /http:\/\//],
  ])('with %s is refused, and leaves nothing behind', async (_, input, status, why) => {
    const answer = await pull('none', input())
    expect([answer.status, answer.json.detail]).toEqual([status, expect.stringMatching(why)])
    expect(JSON.stringify(answer.json)).not.toMatch(/Secret/)
    expect((await http('GET', `${stage.url}/streams/none`)).status).toBe(404)
    expect(stage.server.logs.text).not.toMatch(/Secret/)
  })
})
