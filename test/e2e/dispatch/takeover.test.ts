import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { startDispatch, type TestDispatcher } from '../../helpers/livekit/dispatch.ts'
import { holdersOf, statusOf, TestRooms } from '../../helpers/livekit/rooms.ts'
import { LiveKitServer } from '../../helpers/livekit/server.ts'
import { watchRoom } from '../../helpers/livekit/viewer.ts'
import { http, httpJson } from '../../helpers/server/http.ts'
import { SMALL_FRAMES, startServer, type TestServer } from '../../helpers/server/server.ts'
import { waitFor } from '../../helpers/wait.ts'

const ASKS = '{"millrace":{"pipeline":"effects","params":{"effect":"grayscale"}}}'

let livekit: LiveKitServer
let source: TestServer
let rooms: TestRooms
const servers: TestServer[] = []
let dispatcher: TestDispatcher

beforeAll(async () => {
  livekit = await LiveKitServer.start()
  const env = { ...SMALL_FRAMES, WARM_PIPELINES: '0', ALLOWED_URLS: livekit.url }
  ;[source] = await Promise.all([startServer({ env }), addServer(), addServer()])
  rooms = new TestRooms(livekit, source.url)
  expect((await http('POST', `${source.url}/test-pattern/clip`)).status).toBe(201)
})
afterEach(async () => {
  await dispatcher?.[Symbol.asyncDispose]()
})
afterAll(async () => {
  await Promise.all([source, ...servers].map((one) => one?.stop()))
  await livekit?.[Symbol.asyncDispose]()
})

async function addServer(): Promise<void> {
  servers.push(await startServer({ env: { ...livekit.env, ...SMALL_FRAMES, WARM_PIPELINES: '0', MAX_STREAMS: '4' } }))
}

/** Two servers (restarted after the previous test if needed), a dispatcher, and a room processed by one of them. */
async function processedRoom(room: string) {
  for (const [at, { exit }] of [...servers.entries()].reverse()) if (exit) servers.splice(at, 1)
  while (servers.length < 2) await addServer()
  dispatcher = await startDispatch(
    livekit,
    servers.map(({ url }) => url),
  )
  const leave = await rooms.publish(room, 'clip', { metadata: ASKS })
  const processor = await rooms.processed(room)
  const [at] = await holdersOf(room, servers)
  const first = servers.find(({ url }) => url === at)!
  const second = servers.find(({ url }) => url !== at)!
  return { leave, processor, first, second }
}

/** Expects frames of the track now in the room. */
async function expectFrames(room: string): Promise<void> {
  await using viewer = await watchRoom(livekit, room, 'millrace')
  await waitFor('frames', () => viewer.packets.filter(({ track }) => track.kind === 'video').length > 10)
}

describe('a room moves to another server', () => {
  it('when its server is killed', async () => {
    const { leave, processor, first, second } = await processedRoom('killed')
    process.kill(first.pid, 'SIGKILL')
    await rooms.processed('killed', processor)
    expect(await holdersOf('killed', servers)).toEqual([second.url])
    expect(dispatcher.logs.named('room placed').at(-1)).toMatchObject({
      room: 'killed',
      cause: 'lost',
      server: second.url,
    })
    await expectFrames('killed')
    await leave()
  })

  it('when its server hangs, and does not fight over it when it resumes', async () => {
    const { leave, processor, first, second } = await processedRoom('stopped')
    process.kill(first.pid, 'SIGSTOP')
    try {
      const next = await rooms.processed('stopped', processor)
      await expectFrames('stopped')
      process.kill(first.pid, 'SIGCONT')
      await waitFor('the end at the first', async () => (await statusOf(first.url, 'stopped')).status === 404)
      expect(rooms.processor('stopped')).toBe(next)
      expect(await holdersOf('stopped', servers)).toEqual([second.url])
    } finally {
      process.kill(first.pid, 'SIGCONT')
    }
    await leave()
  })

  it('with its current params, before its server exits on SIGTERM', async () => {
    const { leave, processor, first, second } = await processedRoom('drained')
    const changed = { body: { effect: 'invert' } }
    expect((await httpJson('PATCH', `${first.url}/streams/drained/params`, changed)).status).toBe(200)
    // The placement update with them takes a moment.
    await waitFor(
      'the params',
      async () => (await statusOf(first.url, 'drained')).json.params?.value.effect === 'invert',
    )
    await sleep(500)
    process.kill(first.pid, 'SIGTERM')
    const next = await rooms.processed('drained', processor)
    // The first server left only when the second one had frames.
    const own = (await statusOf(second.url, 'drained')).json
    expect(['OFFLINE', 'LOADING']).not.toContain(own.state)
    expect(own.params).toMatchObject({ value: { effect: 'invert' } })
    await first.closed
    expect(first.exit).toMatchObject({ code: 0 })
    expect(rooms.processor('drained')).toBe(next)
    expect(rooms.joins('drained')).toBe(2)
    expect(dispatcher.logs.named('room placed').at(-1)).toMatchObject({ cause: 'drain' })
    await expectFrames('drained')
    await leave()
  })
})

describe('without a dispatcher', () => {
  it('rooms continue, and a new dispatcher finds the pending ones', async () => {
    const { leave, processor } = await processedRoom('goes-on')
    process.kill(dispatcher.pid, 'SIGKILL')
    await dispatcher[Symbol.asyncDispose]()
    const leaveMissed = await rooms.publish('missed', 'clip', { metadata: ASKS })
    await expectFrames('goes-on')
    dispatcher = await startDispatch(
      livekit,
      servers.map(({ url }) => url),
    )
    await rooms.processed('missed')
    expect(rooms.processor('goes-on')).toBe(processor)
    expect([rooms.joins('goes-on'), rooms.joins('missed')]).toEqual([1, 1])
    await Promise.all([leave(), leaveMissed()])
  })
})
