import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { StreamStatus } from '../../../src/stream/status.ts'
import { RoomPublisher, type RoomPublisherOptions } from '../../helpers/livekit/publisher.ts'
import { LiveKitServer } from '../../helpers/livekit/server.ts'
import { watchRoom } from '../../helpers/livekit/viewer.ts'
import { decodeNumbers } from '../../helpers/media/probe-ts.ts'
import { http, httpJson } from '../../helpers/server/http.ts'
import { startServer, type TestServer } from '../../helpers/server/server.ts'
import { type Stage, setStage } from '../../helpers/server/stage.ts'
import { waitFor } from '../../helpers/wait.ts'

const CAMERA = 'synthesized-camera'
const PIPELINES = fileURLToPath(new URL('../../fixtures/pipelines', import.meta.url))

let livekit: LiveKitServer
let stage: Stage
/** A second server on the same LiveKit. */
let other: TestServer

beforeAll(async () => {
  livekit = await LiveKitServer.start()
  const env = { ...livekit.env, MAX_STREAMS: '8', STREAM_LINGER_SECONDS: '4', PIPELINE_DIR: PIPELINES }
  ;[stage, other] = await Promise.all([setStage({ env }), startServer({ env })])
})
afterAll(async () => {
  await Promise.all([stage?.[Symbol.asyncDispose](), other?.stop()])
  await livekit?.[Symbol.asyncDispose]()
})

type Answer = StreamStatus & { detail?: string }
const CLIP = { seconds: 10, width: 320, height: 180, fps: 20, gop: 5, kbps: 300 }
const ALICE = { identity: 'alice', clip: { ...CLIP, audio: true, audioCodec: 'libopus' } } as const
const BOB = { identity: 'bob', clip: { ...CLIP, width: 160, height: 96 } } as const
const start = (url: string, name: string, input: object, more: object = {}) =>
  httpJson<Answer>('POST', `${url}/streams`, { body: { name, input: { type: 'livekit', ...input }, ...more } })
const end = (url: string, name: string) => http('DELETE', `${url}/streams/${name}`)
const statusOf = (url: string, name: string) => httpJson<Answer>('GET', `${url}/streams/${name}`)
const holder = (room: string) => livekit.rooms.get(room)?.participants.get('millrace')
const published = (room: string, identity: string) => livekit.rooms.get(room)?.participants.get(identity)?.tracks ?? []

/** Publishes; returns a function that leaves the room. */
async function publish(
  room: string,
  who: Omit<RoomPublisherOptions, 'config' | 'room'> = ALICE,
): Promise<() => Promise<void>> {
  const publisher = await RoomPublisher.open({ config: livekit.config, room, ...who })
  await waitFor(`${who.identity} in ${room}`, () => published(room, who.identity).some(({ type }) => type === 'VIDEO'))
  return () => publisher[Symbol.asyncDispose]()
}

async function expectFrames(room: string): Promise<void> {
  await using viewer = await watchRoom(livekit, room, 'millrace')
  await waitFor('frames', () => viewer.packets.filter(({ track }) => track.kind === 'video').length > 20)
  const numbers = (await decodeNumbers(viewer.bytes())).flatMap(({ number }) => (number === undefined ? [] : [number]))
  expect(numbers.length).toBeGreaterThan(5)
  // The clip may restart in between, and a frame may be shown twice on a busy machine.
  expect(numbers.filter((number, i) => i > 0 && number < numbers[i - 1]!).length).toBeLessThan(2)
}

describe('a track of a LiveKit room', () => {
  it('is processed and published back with its audio and data, and no other track is', async () => {
    const leave = await publish('two')
    await waitFor('audio', () => published('two', 'alice').length === 2)
    // The tracks of a room are unordered; this one would come first.
    const leaveToo = await publish('two', BOB)
    const input = { room: 'two', track: CAMERA, participant: 'alice' }
    const { status, json } = await start(stage.url, 'two', input, { pipeline: 'says' })
    expect([status, json.pull?.type], JSON.stringify(json)).toEqual([201, 'livekit'])
    const now = await stage.waitForStatus('two', 'media', ({ ingest }) => !!ingest?.fps && ingest.audio !== null)
    expect(now.ingest).toMatchObject({ kind: 'livekit', codec: 'h264', width: 320, height: 180 })
    await waitFor('both tracks back', () => published('two', 'millrace').length === 2)
    const [video] = published('two', 'alice').filter(({ type }) => type === 'VIDEO')
    expect(holder('two')?.grants.attributes).toEqual({
      ...{ 'millrace.stream': 'two', 'millrace.track': video!.sid, 'millrace.participant': 'alice' },
    })
    await expectFrames('two')
    await waitFor('what the pipeline says', () => livekit.rooms.get('two')!.data.length > 3)
    const { from, message } = livekit.rooms.get('two')!.data[0]!
    expect([from, JSON.parse(message)]).toEqual(['millrace', expect.objectContaining({ data: expect.anything() })])
    await waitFor('both tracks of hers, and no other', () => {
      // On a busy machine she may have reconnected with other SIDs.
      const theirs = published('two', 'alice').map(({ sid }) => sid)
      const all = [...livekit.rooms.get('two')!.participants.values()]
      const sending = all.find(({ grants }) => grants.video.hidden)?.session.sending ?? []
      return sending.length === 2 && sending.every((sid) => theirs.includes(sid))
    })
    await end(stage.url, 'two')
    await waitFor('both sessions gone', () => [...livekit.rooms.get('two')!.participants.keys()].join() === 'alice,bob')
    await Promise.all([leave(), leaveToo()])
  })

  it('comes back without an audio track if it has none, and with one when its publisher returns with audio', async () => {
    const leave = await publish('quiet', BOB)
    await start(stage.url, 'quiet', { room: 'quiet', track: CAMERA })
    await waitFor('the output', () => published('quiet', 'millrace').length > 0)
    expect(published('quiet', 'millrace').map(({ type }) => type)).toEqual(['VIDEO'])
    const first = holder('quiet')!.sid
    await leave()
    const leaveAgain = await publish('quiet', { ...ALICE, identity: 'bob' })
    await waitFor('both tracks', () => published('quiet', 'millrace').length === 2)
    expect(holder('quiet')!.sid).not.toBe(first)
    await end(stage.url, 'quiet')
    await leaveAgain()
  })

  it('in a room that LiveKit has locked up is reported', async () => {
    const leave = await publish('locked')
    livekit.room('locked').locked = true
    await start(other.url, 'locked', { room: 'locked', track: CAMERA })
    await other.logs.waitFor(({ msg }) => msg?.startsWith('LiveKit carries nothing out') ?? false, 'of the lock')
    livekit.room('locked').locked = false
    await end(other.url, 'locked')
    await leave()
  })

  it('is asked for a keyframe, and sends one, when a viewer joins', async () => {
    const leave = await publish('key')
    await start(stage.url, 'key', { room: 'key', track: CAMERA })
    await waitFor('the track', () => published('key', 'millrace').length > 0)
    const asked = holder('key')!.session.keyframesAsked
    await using viewer = await watchRoom(livekit, 'key', 'millrace')
    await waitFor('a keyframe', () => viewer.packets.some(({ key, track }) => key && track.kind === 'video'))
    expect(holder('key')!.session.keyframesAsked).toBeGreaterThan(asked)
    await end(stage.url, 'key')
    await leave()
  })

  it('is taken over by another server, and the first one does not come back', async () => {
    const leave = await publish('over')
    await start(stage.url, 'over', { room: 'over', track: CAMERA })
    await waitFor('the first server', () => published('over', 'millrace').length > 0)
    const first = holder('over')!.sid
    const { status } = await start(other.url, 'over', { room: 'over', track: CAMERA })
    expect(status).toBe(201)
    await waitFor('the second server', () => holder('over') && holder('over')!.sid !== first)
    // It joined only when it had frames.
    const own = await statusOf(other.url, 'over')
    expect(['ONLINE', 'DEGRADED_INPUT', 'DEGRADED_INFERENCE']).toContain(own.json.state)
    await waitFor('the end at the first', async () => (await statusOf(stage.url, 'over')).status === 404)
    await expectFrames('over')
    const joins = livekit.events.filter(({ event, room, participant }) => {
      return event === 'participant_joined' && room === 'over' && participant === 'millrace'
    })
    expect(joins).toHaveLength(2)
    await end(other.url, 'over')
    await leave()
  })

  it('is republished when LiveKit has lost the output, and pulled again when its publisher returns', async () => {
    const leave = await publish('again')
    await start(stage.url, 'again', { room: 'again', track: CAMERA })
    await waitFor('the output', () => published('again', 'millrace').length > 0)
    const first = holder('again')!
    await first.session.close()
    await waitFor('the output again', () => holder('again') !== first && published('again', 'millrace').length > 0)
    await leave()
    await stage.waitForStatus('again', 'the loss', ({ pull }) => pull?.state !== 'running' || pull.failures > 0)
    const leaveAgain = await publish('again')
    await stage.waitForStatus('again', 'the source', ({ pull, ingest }) => pull?.state === 'running' && !!ingest?.fps)
    await expectFrames('again')
    await leaveAgain()
    await waitFor('the end', async () => (await statusOf(stage.url, 'again')).status === 404)
    await waitFor('an empty room', () => livekit.rooms.get('again')!.participants.size === 0)
  })
})

describe('an invalid LiveKit source', () => {
  it.each<[string, object, number, RegExp]>([
    ['a track that is not there', { room: 'none', track: 'x' }, 404, /no video track "x"/],
    ['no room', { track: 'x' }, 400, /input\.room is needed/],
    ['a URL', { room: 'r', track: 'x', url: 'http://10.0.0.1/' }, 400, /input\.url/],
  ])('%s is refused', async (_, input, status, why) => {
    const answer = await start(stage.url, 'none', input)
    expect([answer.status, answer.json.detail]).toEqual([status, expect.stringMatching(why)])
    expect((await statusOf(stage.url, 'none')).status).toBe(404)
  })

  it('a name shared by two tracks is refused with the participants that have it', async () => {
    const leaves = [await publish('names'), await publish('names', BOB)]
    const answer = await start(stage.url, 'names', { room: 'names', track: CAMERA })
    expect([answer.status, answer.json.detail]).toEqual([409, expect.stringMatching(/alice, bob as participant/)])
    await Promise.all(leaves.map((leave) => leave()))
  })
})
