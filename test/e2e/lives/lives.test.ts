import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { launchChromium } from '../../helpers/browser/chromium.ts'
import { LONG_CLIP } from '../../helpers/media/clip.ts'
import { http } from '../../helpers/server/http.ts'
import { type Stage, setStage } from '../../helpers/server/stage.ts'
import { waitFor } from '../../helpers/wait.ts'

const [MAX_STREAMS, MAX_WAITING_STREAMS] = [2, 1]
/** Above the limit on channels. */
const ENOUGH_CHANNELS = 1200

const SLOW_IMPORT = `
import { definePipeline } from 'millrace/pipeline'
await new Promise((resolve) => setTimeout(resolve, 12_000))
export const SlowImport = definePipeline({ load: () => ({ process: (frame) => frame }) })
`
const TALKATIVE = `
import { definePipeline } from 'millrace/pipeline'
const text = 'x'.repeat(50_000)
export const Talkative = definePipeline({ load: () => ({ process: (frame) => ({ frame, data: { text } }) }) })
`

let folder: string
let stage: Stage
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mr-lives-'))
  const manifest = { name: 'lives', version: '1.0.0', type: 'module', peerDependencies: { millrace: '*' } }
  const pipelines = { 'slow-import': './slow-import.ts#SlowImport', talkative: './talkative.ts#Talkative' }
  const own = join(folder, 'lives')
  await mkdir(own)
  await writeFile(join(own, 'package.json'), JSON.stringify({ ...manifest, millrace: { pipelines } }))
  await writeFile(join(own, 'slow-import.ts'), SLOW_IMPORT)
  await writeFile(join(own, 'talkative.ts'), TALKATIVE)
  stage = await setStage({
    env: {
      PIPELINE_DIR: folder,
      MAX_STREAMS: String(MAX_STREAMS),
      MAX_WAITING_STREAMS: String(MAX_WAITING_STREAMS),
      MAX_SESSIONS_PER_MINUTE: '0',
      WARM_PIPELINES: '0',
    },
  })
})
afterAll(async () => {
  await stage?.[Symbol.asyncDispose]()
  await rm(folder, { recursive: true, force: true })
})

/** Publishes a canvas, and connects only some seconds after the answer, like a slow client. */
const PUBLISH_LATE = `async (endpoint) => {
  const canvas = Object.assign(document.createElement('canvas'), { width: 320, height: 180 })
  const context = canvas.getContext('2d')
  let shade = 0
  setInterval(() => {
    context.fillStyle = 'rgb(' + (shade = (shade + 5) % 255) + ',90,90)'
    context.fillRect(0, 0, 320, 180)
  }, 50)
  const peer = (window.peer = new RTCPeerConnection())
  peer.addTransceiver(canvas.captureStream(20).getVideoTracks()[0], { direction: 'sendonly' })
  await peer.setLocalDescription()
  const headers = { 'content-type': 'application/sdp' }
  const answer = await fetch(endpoint, { method: 'POST', headers, body: peer.localDescription.sdp })
  const sdp = await answer.text()
  if (answer.status !== 201) throw new Error(sdp)
  await new Promise((resolve) => setTimeout(resolve, 4000))
  await peer.setRemoteDescription({ type: 'answer', sdp })
}`

it('a WHIP publisher whose pipeline takes twelve seconds to import still has time to connect after the answer', async () => {
  await using browser = await launchChromium()
  const page = await browser.newPage()
  await page.goto(`${stage.url}/health`)
  await page.evaluate(`(${PUBLISH_LATE})('/whip/slow?pipeline=slow-import')`)
  await stage.waitForStatus(
    'slow',
    'its frames',
    ({ inference, ingest }) => inference.fps > 0 && ingest?.kind === 'whip',
    40_000,
  )
  await page.close()
  expect((await http('DELETE', `${stage.url}/streams/slow`)).status).toBe(200)
}, 120_000)

it('event subscribers that do not read are disconnected, and those that do stay connected', async () => {
  const clip = await stage.clip(LONG_CLIP)
  await stage.publish('talk', clip, { query: '?pipeline=talkative' })
  const watch = async (): Promise<Socket> => {
    const { port, hostname } = new URL(stage.url)
    const socket = connect(Number(port), hostname).on('error', () => {})
    await once(socket, 'connect')
    socket.write(`GET /streams/talk/events HTTP/1.1\r\nHost: ${hostname}:${port}\r\n\r\n`)
    return socket
  }
  const inFlight = async () =>
    Number(/^millrace_http_requests_in_flight (\d+)/m.exec((await http('GET', `${stage.url}/metrics`)).text)?.[1])
  const before = await inFlight()
  const reader = (await watch()).resume()
  const stalled = await Promise.all(Array.from({ length: 5 }, watch))
  await waitFor('all of them', async () => (await inFlight()) >= before + 6)
  await waitFor('the end of those that do not read', async () => (await inFlight()) === before + 1, { limitMs: 90_000 })
  expect(reader.readyState).toBe('open')
  for (const socket of [reader, ...stalled]) socket.destroy()
  expect((await http('DELETE', `${stage.url}/streams/talk`)).status).toBe(200)
}, 180_000)

it('a stream whose channels cannot be created leaves nothing behind, and its name is free', async () => {
  const channel = (method: string, index: number) =>
    http(method, `${stage.url}/trickle/fill-${index}`, { headers: { 'expect-content': 'application/json' } })
  let made = 0
  const first = await channel('POST', 0)
  expect(first.status, first.text).toBe(200)
  for (let answer = await channel('POST', 0); answer.status < 300 && made < ENOUGH_CHANNELS; ) {
    made++
    answer = await channel('POST', made)
  }
  expect(made).toBeGreaterThan(1000)
  expect(made).toBeLessThan(ENOUGH_CHANNELS)
  const publish = () => http('POST', `${stage.url}/test-pattern/full`)
  const refused = await publish()
  expect([refused.status, JSON.parse(refused.text).detail]).toEqual([503, expect.stringContaining('channels')])
  expect((await http('GET', `${stage.url}/streams/full`)).status).toBe(404)
  for (let index = 0; index < 8; index++) expect((await channel('DELETE', index)).status).toBe(200)
  const taken = await publish()
  expect(taken.status, taken.text).toBe(201)
}, 120_000)
