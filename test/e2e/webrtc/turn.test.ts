import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { Child } from '../../../src/core/child.ts'
import { onPath } from '../../helpers/binaries.ts'
import { launchChromium } from '../../helpers/browser/chromium.ts'
import { LONG_CLIP } from '../../helpers/media/clip.ts'
import { http } from '../../helpers/server/http.ts'
import { type Stage, setStage } from '../../helpers/server/stage.ts'
import { waitFor } from '../../helpers/wait.ts'

const SECRET = 'shared-with-the-turn-server'
const turnserver = onPath('turnserver')

async function freePort(): Promise<number> {
  const socket = createSocket('udp4').bind(0, '127.0.0.1')
  await once(socket, 'listening')
  const { port } = socket.address()
  socket.close()
  return port
}

let stage: Stage
let turn: Child | undefined
let folder: string
beforeAll(async () => {
  if (!turnserver) return
  folder = await mkdtemp(join(tmpdir(), 'mr-turn-'))
  const port = await freePort()
  const address = Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    .find(({ family, internal }) => family === 'IPv4' && !internal)?.address
  const args = [
    ...['-n', '--no-cli', '--no-tls', '--no-dtls', '--log-file=stdout', '--simple-log', '--allow-loopback-peers'],
    ...['--use-auth-secret', `--static-auth-secret=${SECRET}`, '--realm=millrace', `--listening-port=${port}`],
    ...[`--listening-ip=${address ?? '127.0.0.1'}`, `--relay-ip=${address ?? '127.0.0.1'}`],
    ...['--min-port=51500', '--max-port=51599', `--pidfile=${folder}/pid`, `--userdb=${folder}/users`],
  ]
  turn = await Child.spawn({ command: turnserver, args, stdio: ['ignore', 'ignore', 'ignore'] })
  const urls = `turn:${address ?? '127.0.0.1'}:${port}?transport=udp`
  stage = await setStage({ env: { ICE_SERVERS: JSON.stringify([{ urls }]), TURN_SECRET: SECRET } })
})
afterAll(async () => {
  await stage?.[Symbol.asyncDispose]()
  await turn?.close()
  if (folder) await rm(folder, { recursive: true, force: true })
})

const WATCH = `async (stream) => {
  const told = await fetch('/whep/' + stream, { method: 'OPTIONS' })
  const link = told.headers.get('link')
  const [, url] = /<([^>]+)>/.exec(link)
  const [, username] = /username="([^"]+)"/.exec(link)
  const [, credential] = /credential="([^"]+)"/.exec(link)
  const peer = (window.peer = new RTCPeerConnection({ iceServers: [{ urls: url, username, credential }], iceTransportPolicy: 'relay' }))
  const video = document.body.appendChild(Object.assign(document.createElement('video'), { muted: true, autoplay: true }))
  peer.ontrack = ({ track }) => { video.srcObject = new MediaStream([track]) }
  peer.addTransceiver('video', { direction: 'recvonly' })
  await peer.setLocalDescription()
  await new Promise((resolve) => {
    if (peer.iceGatheringState === 'complete') resolve()
    peer.onicegatheringstatechange = () => peer.iceGatheringState === 'complete' && resolve()
  })
  const answer = await fetch('/whep/' + stream, { method: 'POST', headers: { 'content-type': 'application/sdp' }, body: peer.localDescription.sdp })
  await peer.setRemoteDescription({ type: 'answer', sdp: await answer.text() })
  return { username, offer: peer.localDescription.sdp }
}`

it.skipIf(!turnserver)(
  'a browser limited to relays watches through a TURN server with an expiring credential',
  async () => {
    await stage.publish('demo', await stage.clip(LONG_CLIP), { loop: -1 })
    await using browser = await launchChromium()
    const page = await browser.newPage()
    await page.goto(`${stage.url}/health`)
    const { username, offer } = await page.evaluate<{ username: string; offer: string }, string>(
      `(${WATCH})('demo')`,
      '',
    )
    expect(offer).toMatch(/a=candidate:.* typ relay/)
    expect(offer).not.toMatch(/typ (host|srflx)/)
    const [expiry] = username.split(':')
    expect(Number(expiry)).toBeGreaterThan(Date.now() / 1000 + 3600)
    await waitFor('frames', () => page.evaluate<boolean>(`document.querySelector('video').currentTime > 1`), {
      limitMs: 30_000,
    })
    const used = () =>
      page.evaluate<string[]>(`peer.getStats().then((stats) => {
    const all = [...stats.values()]
    const pair = all.find(({ type, nominated, state }) => type === 'candidate-pair' && nominated && state === 'succeeded')
    return all.filter(({ id }) => id === pair?.localCandidateId).map(({ candidateType }) => candidateType)
  })`)
    // A pair whose next check is under way is not in the state "succeeded" until that is answered.
    const [type] = await waitFor('the pair in use', async () => {
      const types = await used()
      return types.length > 0 && types
    })
    expect(type).toBe('relay')
  },
  120_000,
)

it.skipIf(!turnserver)(
  'two requests at different times get different credentials, and the secret is never returned',
  async () => {
    const { headers } = await http('OPTIONS', `${stage.url}/whip/demo`)
    expect(headers.link).toMatch(/username="\d+:millrace"; credential="[\w+/]+=*"; credential-type="password"/)
    expect(headers.link).not.toContain(SECRET)
    expect(stage.server.logs.text).not.toContain(SECRET)
  },
)
