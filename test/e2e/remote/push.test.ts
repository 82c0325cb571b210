import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Child } from '../../../src/core/child.ts'
import type { PushStatus } from '../../../src/remote/push/push.ts'
import { answerAlways, freePort, type Receiver, receive } from '../../helpers/media/media-peer.ts'
import { decodeNumbers, probePackets } from '../../helpers/media/probe-ts.ts'
import { type Recording, record } from '../../helpers/media/record.ts'
import { http, httpJson } from '../../helpers/server/http.ts'
import { type Stage, setStage } from '../../helpers/server/stage.ts'
import { waitFor } from '../../helpers/wait.ts'

const CLIP = { seconds: 20, width: 320, height: 180, fps: 30, gop: 15, audio: true } as const
const SECRET = 'TopSecretKey'
type Kind = 'rtmp' | 'srt' | 'rtsp'

let stage: Stage
let ports: Record<Kind | 'gone' | 'http', number>
let strange: Record<string, AsyncDisposable & { port: number }>
const peers: Child[] = []
const receivers = new Map<string, Receiver>()

beforeAll(async () => {
  const free = await Promise.all(Array.from({ length: 5 }, freePort))
  const [rtmp = 0, srt = 0, rtsp = 0, gone = 0, web = 0] = free
  ports = { rtmp, srt, rtsp, gone, http: web }
  strange = {
    garbage: await answerAlways('what is this?\n\n\n\n'.repeat(2000)),
    unauthorized: await answerAlways(
      'RTSP/1.0 401 Unauthorized\r\nCSeq: {CSeq}\r\nWWW-Authenticate: Basic realm="x"\r\n\r\n',
    ),
  }
  const all = [...free, ...Object.values(strange).map(({ port }) => port)]
  stage = await setStage({
    env: {
      PORT: String(web),
      INPUT_TIMEOUT_SECONDS: '10',
      ALLOWED_URLS: all
        .flatMap((port) => ['rtmp', 'srt', 'rtsp', 'http'].map((scheme) => `${scheme}://127.0.0.1:${port}`))
        .join(),
    },
  })
  await stage.publish('demo', await stage.clip(CLIP), { loop: -1 })
})
afterAll(async () => {
  await stage?.[Symbol.asyncDispose]()
  await Promise.all(peers.map((peer) => peer.close()))
  for (const one of Object.values(strange ?? {})) await one[Symbol.asyncDispose]()
})

const URLS: Record<Kind, () => string> = {
  rtmp: () => `rtmp://127.0.0.1:${ports.rtmp}/live/${SECRET}`,
  srt: () => `srt://127.0.0.1:${ports.srt}?passphrase=${SECRET}`,
  rtsp: () => `rtsp://127.0.0.1:${ports.rtsp}/${SECRET}`,
}
const INPUTS: Record<Kind, () => string[]> = {
  rtmp: () => ['-listen', '1', '-f', 'flv', '-i', URLS.rtmp()],
  srt: () => ['-f', 'mpegts', '-i', `${URLS.srt()}&mode=listener`],
  rtsp: () => ['-rtsp_flags', 'listen', '-i', URLS.rtsp()],
}
const fileOf = (name: string) => join(stage.folder, `${name}.ts`)

async function target(kind: Kind, name: string): Promise<Receiver> {
  const peer = await receive(INPUTS[kind](), fileOf(name))
  peers.push(peer)
  receivers.set(name, peer)
  return peer
}

type Answer = PushStatus & { code?: string; detail?: string }
const outputs = () => `${stage.url}/streams/demo/outputs`
const push = (body: object) => httpJson<Answer>('POST', outputs(), { body })
const status = async (id: string) =>
  (await httpJson<PushStatus[]>('GET', outputs())).json.find((one) => one.id === id) as PushStatus
/** For the message of a wait that was in vain. */
async function account(): Promise<string> {
  const peers = await Promise.all(
    [...receivers].map(async ([name, peer]) => [name, { size: await sizeOf(name), said: peer.said() }]),
  )
  const lost = stage.server.logs.named('output disconnected').map(({ output, err, time }) => ({ output, err, time }))
  return JSON.stringify({ outputs: (await httpJson('GET', outputs())).json, peers: Object.fromEntries(peers), lost })
}
const until = (id: string, what: string, fits: (status: PushStatus) => boolean) =>
  waitFor(what, async () => {
    const now = await status(id)
    if (!fits(now)) throw new Error(await account())
    return now
  })
const end = async (id: string) => (await httpJson<PushStatus>('DELETE', `${outputs()}/${id}`)).json
const sizeOf = async (name: string) => (await readFile(fileOf(name)).catch(() => '')).length
const received = (name: string, bytes: number) =>
  waitFor(`${bytes} bytes of ${name}`, async () => {
    if ((await sizeOf(name)) <= bytes) throw new Error(await account())
    return true
  })

const numbersOf = async (media: string | Uint8Array): Promise<number[]> =>
  (await decodeNumbers(media)).flatMap(({ number }) => (number === undefined ? [] : [number]))

/** Expects the received frames and audio to equal those of the stream. */
async function expectFrames(name: string, audio: string, out: Recording): Promise<void> {
  const [video, sound] = await probePackets(fileOf(name))
  expect([video?.codec, sound?.codec]).toEqual(['h264', audio])
  expect(sound?.packets.length).toBeGreaterThan(20)
  const [arrived, shown] = await Promise.all([numbersOf(fileOf(name)), numbersOf(out.bytes())])
  expect(arrived.length).toBeGreaterThan(20)
  const first = shown.indexOf(arrived[0] as number)
  expect(arrived).toEqual(shown.slice(first, first + arrived.length))
}

describe('outputs of a stream', () => {
  it('go to several targets at once, each with its own state, and a failed one affects no other', async () => {
    await using out = await record(`${stage.url}/out/demo.ts`)
    await Promise.all([target('rtmp', 'rtmp'), target('rtsp', 'rtsp')])
    const srt = await target('srt', 'srt')
    const started = await Promise.all([
      push({ url: URLS.rtmp() }),
      push({ url: URLS.srt() }),
      push({ url: URLS.rtsp() }),
    ])
    expect(started.map(({ status, json }) => [status, json.type])).toEqual([
      [201, 'rtmp'],
      [201, 'srt'],
      [201, 'rtsp'],
    ])
    const [a = '', b = '', c = ''] = started.map(({ json }) => json.id)
    for (const id of [a, b, c]) await until(id, `${id} to run`, ({ state }) => state === 'running')
    await received('srt', 150_000)
    srt.process.kill('SIGSTOP')
    const lost = await until(b, 'the loss', ({ failures }) => failures > 0)
    expect(lost.lastError?.message).toMatch(/^srt:\/\/127\.0\.0\.1:\d+ /)
    srt.process.kill('SIGKILL')
    await received('rtmp', 300_000)
    const ended = await Promise.all([end(a), end(b), end(c)])
    expect(ended.map(({ state, failures, dropped }) => [state, failures > 0, dropped])).toEqual([
      ['ended', false, 0],
      ['ended', true, expect.any(Number)],
      ['ended', false, 0],
    ])
    expect((await httpJson('GET', outputs())).json).toEqual([])
    await expectFrames('rtmp', 'aac', out)
    await expectFrames('rtsp', 'opus', out)
    await Promise.all(peers.map((peer) => peer.close()))
  })

  it('reconnect to killed targets of every protocol at once', async () => {
    await using out = await record(`${stage.url}/out/demo.ts`)
    const through = async (kind: Kind) => {
      const first = await target(kind, `${kind}-first`)
      const { json } = await push({ url: URLS[kind]() })
      await until(json.id, `${kind} to run`, ({ state }) => state === 'running')
      await received(`${kind}-first`, 50_000)
      first.process.kill('SIGKILL')
      const lost = await until(json.id, `the loss of ${kind}`, ({ failures }) => failures > 0)
      expect(lost.lastError?.message).toMatch(/^\w+:\/\/127\.0\.0\.1:\d+/)
      let second = await target(kind, `${kind}-second`)
      await waitFor(`${kind} to come again`, async () => {
        // It accepts one client, and exits when that one has given up.
        if (second.exit) second = await target(kind, `${kind}-second`)
        if ((await sizeOf(`${kind}-second`)) > 100_000) return true
        throw new Error(await account())
      })
      expect((await end(json.id)).bytes).toBeGreaterThan(150_000)
    }
    await Promise.all((['rtmp', 'srt', 'rtsp'] as const).map(through))
    await expectFrames('rtmp-second', 'aac', out)
  })

  it('have a silent track where the service needs audio and the stream has none', async () => {
    await stage.publish('mute', await stage.clip({ ...CLIP, audio: false }), { loop: -1 })
    await target('rtmp', 'silent')
    const at = `${stage.url}/streams/mute/outputs`
    const { json } = await httpJson<Answer>('POST', at, { body: { url: URLS.rtmp(), silence: true } })
    await received('silent', 100_000)
    expect((await httpJson<Answer>('DELETE', `${at}/${json.id}`)).json.failures).toBeLessThan(3)
    await Promise.all(peers.map((peer) => peer.close()))
    const [video, sound] = await probePackets(fileOf('silent'))
    expect([video?.codec, sound?.codec]).toEqual(['h264', 'aac'])
    const length = (packets: { pts: number }[] = []) => (packets.at(-1)?.pts ?? 0) - (packets[0]?.pts ?? 0)
    expect(Math.abs(length(video?.packets) - length(sound?.packets))).toBeLessThan(45_000)
    await http('DELETE', `${stage.url}/streams/mute`)
  })

  it('go to a trickle channel', async () => {
    const { json } = await push({ type: 'trickle', url: `${stage.url}/trickle/copy` })
    await until(json.id, 'it to run', ({ state }) => state === 'running')
    const segment = await waitFor('a segment', async () => {
      const answer = await http('GET', `${stage.url}/trickle/copy/0`)
      return answer.status === 200 && answer.bytes.length > 0 && answer.bytes
    })
    expect((await probePackets(segment))[0]?.codec).toBe('h264')
    await end(json.id)
  })

  it.each<[string, () => string, RegExp]>([
    ['a server that is not there', () => `rtmp://127.0.0.1:${ports.gone}/live/${SECRET}`, /refuses the connection/],
    ['a wrong password', () => `rtsp://u:${SECRET}@127.0.0.1:${strange.unauthorized!.port}/x`, /401 Unauthorized/],
    ['garbage', () => `rtsp://u:${SECRET}@127.0.0.1:${strange.garbage!.port}/x`, /does not speak RTSP/],
    ['garbage by RTMP', () => `rtmp://127.0.0.1:${strange.garbage!.port}/live/${SECRET}`, /./],
  ])('report the reason with %s, and retry', async (_, url, why) => {
    const { json } = await push({ url: url() })
    const lost = await until(json.id, 'the second failure', ({ failures }) => failures >= 2)
    expect(lost.lastError?.message).toMatch(why)
    expect(JSON.stringify(lost)).not.toContain(SECRET)
    expect((await end(json.id)).state).toBe('ended')
  })

  it.each<[string, object, number, RegExp]>([
    ['a private address', { url: 'rtmp://10.0.0.1/live/x' }, 400, /ALLOWED_URLS/],
    ['HTTP of no type', { url: 'http://example.com/x' }, 400, /must be rtmp/],
    ['a file', { type: 'rtmp', url: 'file:///tmp/x.flv' }, 400, /rtmp:\/\//],
    ['silence by SRT', { url: 'srt://example.com:9000', silence: true }, 400, /for RTMP only/],
    ['an unknown field', { url: 'rtmp://example.com/live/x', listen: 1 }, 400, /expected form/],
  ])('are refused to %s', async (_, body, code, why) => {
    const answer = await push(body)
    expect([answer.status, answer.json.detail]).toEqual([code, expect.stringMatching(why)])
  })

  it('are 404 for a stream that does not exist', async () => {
    const body = { url: URLS.rtmp() }
    expect((await httpJson('POST', `${stage.url}/streams/nobody/outputs`, { body })).status).toBe(404)
    expect((await httpJson('DELETE', `${outputs()}/nothing`)).status).toBe(404)
  })

  it('leave the stream unchanged and no secret anywhere', async () => {
    const now = await stage.status('demo')
    expect([now.state, now.publishing, now.dropped.viewers]).toEqual(['ONLINE', true, 0])
    expect(stage.server.logs.text).not.toContain(SECRET)
    expect(stage.server.logs.named('output disconnected').length).toBeGreaterThan(0)
    const { json } = await push({ url: URLS.rtmp() })
    await http('DELETE', `${stage.url}/streams/demo`)
    expect((await httpJson<{ code: string }>('GET', outputs())).json.code).toBe('not-found')
    expect(json.id).toMatch(/^[0-9a-f]{12}$/)
  })
})
