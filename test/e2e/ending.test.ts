import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { http, httpJson } from '../helpers/http.ts'
import { descendants, isAlive, sharedMemoryOf, socketsOf, temporaryFiles } from '../helpers/nothing-left.ts'
import { probePackets } from '../helpers/probe-ts.ts'
import { record } from '../helpers/record.ts'
import { type Stage, setStage } from '../helpers/stage.ts'
import { waitFor } from '../helpers/wait.ts'

/** Processes, sockets and shared memory that the server holds. */
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
  // The segment that is being written; it ends with the stream.
  const segment = http('GET', `${stage.url}/trickle/${name}-out/-2`)
  segment.catch(() => {})
  await sleep(1500)
  return { publisher, ts, segment }
}

it('of a stream lets the next publisher of its name in, however soon it comes', async () => {
  await using stage = await setStage()
  const start = () => http('POST', `${stage.url}/test-pattern/demo`)
  expect((await start()).status).toBe(201)
  for (let round = 0; round < 4; round++) {
    await stage.waitForStatus('demo', 'frames', ({ egress }) => egress.fps > 10)
    const deleted = http('DELETE', `${stage.url}/streams/demo`)
    await sleep(5 + 10 * round)
    expect((await start()).status).toBe(201)
    expect((await deleted).status).toBe(200)
  }
  await stage.waitForStatus('demo', 'frames', ({ egress }) => egress.fps > 10)
})

describe('an end', () => {
  it.each([
    ['of the publisher', async (_: Stage, publisher: { stop(): Promise<unknown> }) => void (await publisher.stop())],
    [
      'by kill -9 on the publisher',
      async (_: Stage, publisher: { kill(): Promise<unknown> }) => void (await publisher.kill()),
    ],
    [
      'by DELETE',
      async (stage: Stage) => {
        expect((await httpJson('DELETE', `${stage.url}/streams/demo`)).status).toBe(200)
      },
    ],
  ])('%s leaves nothing, and readers get an orderly end', async (_, end) => {
    await using stage = await setStage({ env: { STREAM_LINGER_SECONDS: '1' } })
    await waitFor('the warm pipeline', () => holdings(stage).children > 0)
    await sleep(1500)
    const before = holdings(stage)
    const { publisher, ts, segment } = await playing(stage, 'demo')
    await end(stage, publisher)
    expect(await ts.ended).toBe(true)
    const [video] = await probePackets(ts.bytes())
    expect(video?.packets.length).toBeGreaterThan(20)
    const answer = await segment
    expect(answer.status).toBe(200)
    expect((await probePackets(answer.bytes)).some(({ kind }) => kind === 'video')).toBe(true)
    await waitFor('the stream to be gone', async () => (await http('GET', `${stage.url}/streams/demo`)).status === 404)
    expect((await http('GET', `${stage.url}/trickle/demo-out/-1`)).status).toBe(404)
    await waitFor('everything to be gone', () => JSON.stringify(holdings(stage)) === JSON.stringify(before), {
      // A warm runner more than are kept, started while the stream had one, ends after a minute.
      limitMs: 90_000,
    }).catch(() => expect(holdings(stage)).toEqual(before))
  })

  it('by SIGTERM to the server ends readers in order and leaves no process', async () => {
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
