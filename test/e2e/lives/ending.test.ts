import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { Agent, type IncomingMessage, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { probePackets } from '../../helpers/media/probe-ts.ts'
import type { Publisher } from '../../helpers/media/publish.ts'
import { record } from '../../helpers/media/record.ts'
import { descendants, isAlive, sharedMemoryOf, socketsOf, temporaryFiles } from '../../helpers/nothing-left.ts'
import { http } from '../../helpers/server/http.ts'
import { type Stage, setStage } from '../../helpers/server/stage.ts'
import { waitFor } from '../../helpers/wait.ts'
import { WeriftViewer } from '../../process/webrtc/support/viewer.ts'

/** Processes, sockets and shared memory of the server. */
function holdings({ server }: Stage) {
  return {
    children: descendants(server.pid).length,
    sockets: socketsOf(server.pid).length,
    memory: sharedMemoryOf(server.pid).length,
    files: temporaryFiles(),
  }
}

async function playing(stage: Stage, name: string) {
  const publisher = await stage.publish(
    name,
    await stage.clip({ seconds: 20, width: 320, height: 240, fps: 30, audio: true }),
  )
  const ts = await record(`${stage.url}/out/${name}.ts`)
  await stage.waitForStatus(name, 'a segment', ({ egress }) => egress.trickleSegments > 0)
  // The segment being written; it ends with the stream.
  const segment = http('GET', `${stage.url}/trickle/${name}-out/-2`)
  segment.catch(() => {})
  await sleep(1500)
  return { publisher, ts, segment }
}

it('of a stream frees its name for the next publisher at once', async () => {
  await using stage = await setStage({ env: { MAX_PIXELS: String(320 * 180) } })
  const start = () => http('POST', `${stage.url}/test-pattern/demo`)
  expect((await start()).status).toBe(201)
  for (let round = 0; round < 4; round++) {
    await stage.waitForStatus('demo', 'frames', ({ egress }) => egress.fps > 3)
    const deleted = http('DELETE', `${stage.url}/streams/demo`)
    await sleep(5 + 10 * round)
    expect((await start()).status).toBe(201)
    expect((await deleted).status).toBe(200)
  }
  await stage.waitForStatus('demo', 'frames', ({ egress }) => egress.fps > 3)
})

it('of a stream ends the connection of its publisher, whose body may still come', async () => {
  await using stage = await setStage({ env: { MAX_PIXELS: String(320 * 180) } })
  const clip = await readFile(await stage.clip({ seconds: 20, width: 320, height: 240, fps: 30, audio: true }))
  const agent = new Agent({ keepAlive: true })
  const publisher = request(`${stage.url}/ingest/demo`, { method: 'POST', agent })
  publisher.on('error', () => {})
  const answered = once(publisher, 'response') as Promise<[IncomingMessage]>
  publisher.write(clip)
  await stage.waitForStatus('demo', 'frames', ({ ingest }) => (ingest?.fps ?? 0) > 3)
  expect((await http('DELETE', `${stage.url}/streams/demo`)).status).toBe(200)
  const [{ statusCode, headers }] = await answered
  expect([statusCode, headers.connection]).toEqual([200, 'close'])
  publisher.destroy()
  agent.destroy()
})

describe('an end', () => {
  it('leaves nothing behind and ends readers cleanly, whatever ended the stream', async () => {
    await using stage = await setStage({ env: { STREAM_LINGER_SECONDS: '1', MAX_STREAMS: '8' } })
    await waitFor('the warm pipeline', () => holdings(stage).children > 0)
    await sleep(1500)
    const before = holdings(stage)
    const ends: Record<string, (publisher: Publisher) => Promise<unknown>> = {
      publisher: (publisher) => publisher.stop(),
      'kill-9-on-the-publisher': (publisher) => publisher.kill(),
      DELETE: async () => expect((await http('DELETE', `${stage.url}/streams/DELETE`)).status).toBe(200),
    }
    const all = await Promise.all(Object.keys(ends).map(async (name) => ({ name, ...(await playing(stage, name)) })))
    for (const { name, publisher, ts, segment } of all) {
      await ends[name]!(publisher)
      expect(await ts.ended, name).toBe(true)
      const [video] = await probePackets(ts.bytes())
      expect(video?.packets.length, name).toBeGreaterThan(10)
      const answer = await segment
      expect(answer.status, name).toBe(200)
      expect((await probePackets(answer.bytes)).some(({ kind }) => kind === 'video')).toBe(true)
      const gone = async () => (await http('GET', `${stage.url}/streams/${name}`)).status === 404
      await waitFor(`the end of ${name}`, gone)
      expect((await http('GET', `${stage.url}/trickle/${name}-out/-1`)).status).toBe(404)
    }
    await waitFor('everything to be gone', () => JSON.stringify(holdings(stage)) === JSON.stringify(before), {
      // A surplus warm runner, started while the streams used one, ends after a minute.
      limitMs: 120_000,
      everyMs: 1000,
    }).catch(() => expect(holdings(stage)).toEqual(before))
  }, 240_000)

  it('by SIGTERM to the server ends readers cleanly and leaves no process', async () => {
    const files = temporaryFiles()
    await using stage = await setStage()
    const { ts } = await playing(stage, 'demo')
    const below = descendants(stage.server.pid)
    const closed = await stage.server.stop()
    expect(closed.why).toBe('stopped')
    expect(stage.server.exit).toEqual({ code: 0, signal: null })
    expect(await ts.ended).toBe(true)
    expect(below.filter(({ pid }) => isAlive(pid))).toEqual([])
    expect(temporaryFiles().filter((file) => !files.includes(file))).toEqual([])
  })

  it('by kill -9 on the server leaves no process', async () => {
    const files = temporaryFiles()
    await using stage = await setStage()
    await playing(stage, 'demo')
    const below = descendants(stage.server.pid)
    expect(below.length).toBeGreaterThanOrEqual(3)
    process.kill(stage.server.pid, 'SIGKILL')
    await waitFor('its children to end', () => below.every(({ pid }) => !isAlive(pid)), { limitMs: 10_000 })
    expect(temporaryFiles().filter((file) => !files.includes(file))).toEqual([])
  })
})

/** Voluntary context switches of the main thread of a process so far, which count its wake-ups. */
async function sleepsOf(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/task/${pid}/status`, 'utf8')
  return Number(/^voluntary_ctxt_switches:\s*(\d+)$/m.exec(status)?.[1])
}

it('a viewer waiting for a publisher does not keep a server with LINGER_SECONDS=0 busy', async () => {
  await using stage = await setStage({ env: { STREAM_LINGER_SECONDS: '0' } })
  const viewer = new WeriftViewer()
  try {
    const headers = { 'content-type': 'application/sdp' }
    const answer = await http('POST', `${stage.url}/whep/demo`, { body: await viewer.offer(), headers })
    expect(answer.status, answer.text).toBe(201)
    await viewer.accept(answer.text)
    await stage.waitForStatus('demo', 'its viewer', ({ egress }) => egress.viewers === 1)
    const before = await sleepsOf(stage.server.pid)
    await sleep(2000)
    // A timer of 0 ms that re-arms itself wakes the thread a thousand times a second.
    expect((await sleepsOf(stage.server.pid)) - before).toBeLessThan(500)
    expect((await stage.status('demo')).egress.viewers).toBe(1)
  } finally {
    await viewer.peer.close()
  }
})
