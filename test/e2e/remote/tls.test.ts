import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Child } from '../../../src/core/child.ts'
import type { PushStatus } from '../../../src/remote/push/push.ts'
import type { StreamStatus } from '../../../src/stream/status.ts'
import { makeNumberedClip } from '../../helpers/media/clip.ts'
import {
  type Certificate,
  freePort,
  receive,
  selfSigned,
  serveClip,
  startRtspServer,
  tlsInFront,
} from '../../helpers/media/media-peer.ts'
import { probePackets } from '../../helpers/media/probe-ts.ts'
import { http, httpJson } from '../../helpers/server/http.ts'
import { type Stage, setStage } from '../../helpers/server/stage.ts'
import { waitFor } from '../../helpers/wait.ts'

const CLIP = { seconds: 20, width: 320, height: 180, fps: 30, gop: 15, audio: true } as const
const [USER, PASSWORD] = ['operator', 'TopSecretWord']

let stage: Stage
let folder: string
let clip: string
/** One the server trusts, one it does not, and one for another name. */
let certificates: Record<'trusted' | 'unknown' | 'misnamed', Certificate>
let rtsp: (Child & { port: number }) | undefined
let rtmp: { pull: number; push: number }
let fronts: Record<'pull' | 'push' | 'unknown' | 'misnamed', AsyncDisposable & { port: number }>
const peers: Child[] = []

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mr-tls-'))
  clip = join(folder, 'clip.ts')
  await makeNumberedClip({ ...CLIP, file: clip })
  certificates = {
    trusted: selfSigned(folder, 'trusted', 'IP:127.0.0.1'),
    unknown: selfSigned(folder, 'unknown', 'IP:127.0.0.1'),
    misnamed: selfSigned(folder, 'misnamed', 'DNS:other.example'),
  }
  const bundle = join(folder, 'ca.pem')
  const trusted = await Promise.all(
    [certificates.trusted, certificates.misnamed].map(({ cert }) => readFile(cert, 'utf8')),
  )
  await writeFile(bundle, trusted.join(''))
  rtmp = { pull: await freePort(), push: await freePort() }
  fronts = {
    pull: await tlsInFront(rtmp.pull, certificates.trusted),
    push: await tlsInFront(rtmp.push, certificates.trusted),
    unknown: await tlsInFront(rtmp.pull, certificates.unknown),
    misnamed: await tlsInFront(rtmp.pull, certificates.misnamed),
  }
  rtsp = await startRtspServer(
    { '/cam': `( filesrc location=${clip} ! tsdemux ! h264parse ! rtph264pay name=pay0 pt=96 config-interval=-1 )` },
    { secure: { ...certificates.trusted, user: USER, password: PASSWORD } },
  )
  const origins = Object.values(fronts).flatMap(({ port }) => [
    `rtmps://127.0.0.1:${port}`,
    `rtsps://127.0.0.1:${port}`,
    `https://127.0.0.1:${port}`,
  ])
  stage = await setStage({
    env: {
      NODE_EXTRA_CA_CERTS: bundle,
      INPUT_TIMEOUT_SECONDS: '10',
      ALLOWED_URLS: [...origins, ...(rtsp ? [`rtsps://127.0.0.1:${rtsp.port}`] : [])].join(),
    },
  })
})
afterAll(async () => {
  await stage?.[Symbol.asyncDispose]()
  await Promise.all([...peers, ...(rtsp ? [rtsp] : [])].map((peer) => peer.close()))
  for (const front of Object.values(fronts ?? {})) await front[Symbol.asyncDispose]()
  if (folder) await rm(folder, { recursive: true, force: true })
})

type Answer = StreamStatus & { detail?: string }
const pull = (name: string, input: object) =>
  httpJson<Answer>('POST', `${stage.url}/streams`, { body: { name, input } })
const frames = (name: string) => stage.waitForStatus(name, 'frames', ({ ingest }) => (ingest?.fps ?? 0) > 5)

describe('with TLS and a private CA the server trusts,', () => {
  it('RTSPS is pulled with a password', async () => {
    if (!rtsp) return
    const url = (password: string) => `rtsps://${USER}:${password}@127.0.0.1:${rtsp?.port}/cam`
    const { status, json } = await pull('cam', { url: url(PASSWORD) })
    expect([status, json.pull?.from], json.detail).toEqual([201, `rtsps://127.0.0.1:${rtsp.port}`])
    await frames('cam')
    const refused = await pull('none', { url: url('WrongSecretWord') })
    expect([refused.status, refused.json.detail]).toEqual([502, expect.stringMatching(/401 Unauthorized/)])
    await http('DELETE', `${stage.url}/streams/cam`)
    expect(stage.server.logs.text + JSON.stringify([json, refused.json])).not.toMatch(/SecretWord/)
  })

  it('RTMPS is pulled and pushed', async () => {
    peers.push(await serveClip(clip, ['-f', 'flv', '-listen', '1', `rtmp://127.0.0.1:${rtmp.pull}/live/one`]))
    await waitFor('the answer', async () => {
      const { status, json } = await pull('one', { url: `rtmps://127.0.0.1:${fronts.pull.port}/live/one` })
      if (status !== 201) throw new Error(json.detail)
      return true
    })
    await frames('one')
    const file = join(folder, 'pushed.ts')
    const input = ['-listen', '1', '-f', 'flv', '-i', `rtmp://127.0.0.1:${rtmp.push}/live/two`]
    let receiver = await receive(input, file)
    const outputs = `${stage.url}/streams/one/outputs`
    const url = `rtmps://127.0.0.1:${fronts.push.port}/live/two`
    const { json } = await httpJson<PushStatus>('POST', outputs, { body: { url } })
    await waitFor('the output', async () => {
      // It accepts one client, and exits when that one has given up.
      if (receiver.exit) receiver = await receive(input, file)
      const { length } = await readFile(file).catch(() => '')
      const [now] = (await httpJson<PushStatus[]>('GET', outputs)).json
      if (length <= 100_000) throw new Error(`${length} bytes, ${JSON.stringify(now)}`)
      return true
    })
    peers.push(receiver)
    const ended = await httpJson<PushStatus>('DELETE', `${outputs}/${json.id}`)
    expect([ended.json.state, ended.json.type]).toEqual(['ended', 'rtmp'])
    const probed = await probePackets(file)
    expect(probed.map(({ codec, packets }) => [codec, packets.length > 5])).toEqual([
      ['h264', true],
      ['aac', true],
    ])
    await http('DELETE', `${stage.url}/streams/one`)
  })

  it.each<['unknown' | 'misnamed', RegExp]>([
    ['unknown', /certificate is not trusted: self-signed certificate.*NODE_EXTRA_CA_CERTS/],
    ['misnamed', /certificate is not accepted: .*altnames/],
  ])('a certificate that is %s is refused by every protocol, with the reason', async (which, why) => {
    const { port } = fronts[which]
    const answers = await Promise.all(
      [
        { url: `rtsps://127.0.0.1:${port}/cam` },
        { url: `rtmps://127.0.0.1:${port}/live/one` },
        { type: 'whep', url: `https://127.0.0.1:${port}/whep/one` },
        { type: 'mpegts', url: `https://127.0.0.1:${port}/one.ts` },
      ].map((input, at) => pull(`none-${at}`, input)),
    )
    for (const { status, json } of answers) expect([status, json.detail]).toEqual([502, expect.stringMatching(why)])
  })
})
