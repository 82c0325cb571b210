import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Child } from '../../../src/core/child.ts'
import { decodeNumbers } from '../../helpers/media/probe-ts.ts'
import { type PythonMedia, pythonMedia } from '../../helpers/media/python-media.ts'
import { record } from '../../helpers/media/record.ts'
import { http } from '../../helpers/server/http.ts'
import { type Stage, setStage } from '../../helpers/server/stage.ts'
import { waitFor } from '../../helpers/wait.ts'

const SCRIPT = fileURLToPath(new URL('../../fixtures/whip/publish.py', import.meta.url))
const TOKEN = 'TopSecretToken'
const CLIP = { seconds: 120, width: 320, height: 180, fps: 30, gop: 15, audio: true } as const

let stage: Stage
let tools: PythonMedia
let clip: string
const peers: Child[] = []
beforeAll(async () => {
  ;[stage, tools] = await Promise.all([
    setStage({ env: { MAX_STREAMS: '4', STREAM_LINGER_SECONDS: '1', AUTH_TOKEN: TOKEN } }),
    pythonMedia(),
  ])
  clip = await stage.clip(CLIP)
}, 400_000)
afterAll(async () => {
  await Promise.all(peers.map((peer) => peer.close()))
  await stage?.[Symbol.asyncDispose]()
})

async function start(command: string, args: string[]): Promise<Child> {
  const peer = await Child.spawn({ command, args, stdio: 'ignore', graceMs: 1000 })
  peers.push(peer)
  return peer
}
const url = (name: string) => `${stage.url}/whip/${name}`
const CLIENTS: Record<string, (name: string, token: string) => Promise<Child>> = {
  'ffmpeg 9': (name, token) =>
    start(tools.ffmpeg, [
      ...['-hide_banner', '-nostdin', '-re', '-i', clip, '-c:v', 'copy', '-c:a', 'libopus', '-ar', '48000'],
      ...['-ac', '2', '-f', 'whip', '-authorization', token, url(name)],
    ]),
  'PyAV 18': (name, token) => start(tools.python, [SCRIPT, clip, url(name), token]),
}
const nameOf = (client: string) => client.replace(' ', '-')

describe.each(Object.keys(CLIENTS))('%s', (client) => {
  const open = CLIENTS[client]!

  it('publishes by WHIP, H.264 and Opus', async () => {
    const name = nameOf(client)
    const peer = await open(name, TOKEN)
    await waitFor('the stream', async () => (await http('GET', `${stage.url}/streams/${name}`)).status === 200)
    const { ingest } = await stage.waitForStatus(
      name,
      'frames and audio',
      ({ ingest, egress }) => egress.fps > 5 && ingest?.audio?.codec === 'opus',
    )
    expect(ingest).toMatchObject({ kind: 'whip', codec: 'h264', width: 320, height: 180 })
    await using out = await record(`${stage.url}/out/${name}.ts`)
    await waitFor('output', () => out.bytes().length > 120_000)
    out.stop()
    const numbers = (await decodeNumbers(out.bytes())).flatMap(({ number }) => number ?? [])
    expect(numbers.length).toBeGreaterThan(5)
    expect(numbers).toEqual(numbers.toSorted((a, b) => a - b))
    await peer.close()
    await waitFor('its end', async () => (await http('GET', `${stage.url}/streams/${name}`)).status === 404)
  })

  it('with a wrong token is refused, and no stream starts', async () => {
    const peer = await open('refused', 'WrongSecretToken')
    await peer.closed
    expect(peer.exit?.code).not.toBe(0)
    expect((await http('GET', `${stage.url}/streams/refused`)).status).toBe(404)
    expect(stage.server.logs.text).not.toMatch(/SecretToken/)
  })
})

it('clients that are killed or hang are detected, and their streams end', async () => {
  const [killed, stopped] = await Promise.all([
    CLIENTS['ffmpeg 9']!('killed', TOKEN),
    CLIENTS['PyAV 18']!('stopped', TOKEN),
  ])
  const names = ['killed', 'stopped']
  for (const name of names) {
    await waitFor('the stream', async () => (await http('GET', `${stage.url}/streams/${name}`)).status === 200)
    await stage.waitForStatus(name, 'frames', ({ egress }) => egress.fps > 5)
  }
  killed.process.kill('SIGKILL')
  stopped.process.kill('SIGSTOP')
  for (const name of names) {
    await waitFor('its end', async () => (await http('GET', `${stage.url}/streams/${name}`)).status === 404, {
      limitMs: 60_000,
    })
  }
  stopped.process.kill('SIGKILL')
})
