import { fileURLToPath } from 'node:url'
import { pino } from 'pino'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { openTrickleSubscriber } from '../../../src/trickle/client/subscriber.ts'
import { jsonMessages } from '../../../src/trickle/json.ts'
import { LONG_CLIP } from '../../helpers/media/clip.ts'
import { decodeNumbers, probePackets } from '../../helpers/media/probe-ts.ts'
import { type Recording, record } from '../../helpers/media/record.ts'
import { http, httpJson } from '../../helpers/server/http.ts'
import { type Stage, setStage } from '../../helpers/server/stage.ts'
import { waitFor } from '../../helpers/wait.ts'

type Message = { type?: string; pts: number; lost?: number; data: { frames: number; text: string } }

const log = pino({ level: 'silent' })
let stage: Stage
beforeAll(async () => {
  const fixtures = fileURLToPath(new URL('../../fixtures/pipelines', import.meta.url))
  stage = await setStage({ env: { PIPELINE_DIR: fixtures, WARM_PIPELINES: '0' } })
  const clip = await stage.clip(LONG_CLIP)
  await stage.publish('demo', clip, { query: '?pipeline=says' })
  await stage.waitForStatus('demo', 'the pipeline', ({ data }) => data.messages > 0)
})
afterAll(() => stage?.[Symbol.asyncDispose]())

const linesOf = (recording: Recording): Message[] =>
  recording
    .bytes()
    .toString()
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line))

const eventsOf = (recording: Recording): Message[] =>
  [
    ...recording
      .bytes()
      .toString()
      .matchAll(/event: data\ndata: (.*)\n\n/g),
  ].map(([, json = '']) => JSON.parse(json))

function expectRow(messages: Message[]): void {
  const [first] = messages
  expect(messages.map(({ data }) => data.frames)).toEqual(messages.map((_, index) => first!.data.frames + index))
  expect(messages.every(({ pts }, index) => index === 0 || pts > messages[index - 1]!.pts)).toBe(true)
  expect(messages.every(({ lost }) => lost === undefined)).toBe(true)
}

/** How many messages there were so far: a late subscriber gets none of these. */
const saidSoFar = async () => (await stage.status('demo')).data.messages

it('arrives as JSON lines and as events, in order, from now on, with the timestamp of its frame', async () => {
  await stage.waitForStatus('demo', 'messages that are past', ({ data }) => data.messages > 60)
  const past = await saidSoFar()
  await using lines = await record(`${stage.url}/out/demo.jsonl`)
  await using events = await record(`${stage.url}/streams/demo/events`)
  await using video = await record(`${stage.url}/out/demo.ts`)
  await waitFor('ninety messages', async () => linesOf(lines).length > 90 && eventsOf(events).length > 90)
  for (const recording of [lines, events, video]) recording.stop()
  expectRow(linesOf(lines))
  expectRow(eventsOf(events))
  for (const [first] of [linesOf(lines), eventsOf(events)]) expect(first!.data.frames).toBeGreaterThanOrEqual(past)
  expect(eventsOf(events)[0]!.type).toBe('data')
  const [track] = await probePackets(video.bytes())
  const told = new Set(linesOf(lines).map(({ pts }) => pts % 2 ** 33))
  const shown = track!.packets.slice(5, 60)
  expect(shown.filter(({ pts }) => told.has(pts)).length).toBeGreaterThan(shown.length * 0.9)
})

it('arrives on its trickle channel, one message per segment, from now on', async () => {
  const past = await saidSoFar()
  const url = `${stage.url}/trickle/demo-data`
  await using subscription = await openTrickleSubscriber({ url }, { log })
  const messages: Message[] = []
  for await (const message of jsonMessages(subscription)) if (messages.push(message as Message) === 60) break
  expect(subscription.missed).toBe(0)
  expectRow(messages)
  expect(messages[0]!.data.frames).toBeGreaterThanOrEqual(past)
  expect((await http('POST', `${stage.url}/ingest/some-data`)).status).toBe(400)
})

it('a late subscriber of the output gets the next segment, and no earlier one', async () => {
  await using viewer = await record(`${stage.url}/out/demo.ts`)
  const newest = await waitFor('frames', async () => (await decodeNumbers(viewer.bytes())).at(-2)?.number)
  await using subscription = await openTrickleSubscriber({ url: `${stage.url}/trickle/demo-out` }, { log })
  for await (const { seq, bytes } of subscription) {
    expect(seq).toBeGreaterThan(0)
    const [first] = await decodeNumbers(Buffer.concat(await Array.fromAsync(bytes)))
    expect(first!.number).toBeGreaterThanOrEqual(newest)
    break
  }
})

it('may be up to 64 KiB; more is an error of the frame', async () => {
  await using lines = await record(`${stage.url}/out/demo.jsonl`)
  const patch = (filling: number) => httpJson('PATCH', `${stage.url}/streams/demo/params`, { body: { filling } })
  expect((await patch(10_000)).status).toBe(200)
  await waitFor('a long one', async () => linesOf(lines).some(({ data }) => data.text.length === 30_000))
  expect((await patch(20_000)).status).toBe(200)
  await stage.waitForStatus('demo', 'the error', ({ inference }) =>
    JSON.stringify(inference.lastError).includes('accepted are at most 65536'),
  )
  expect((await patch(0)).status).toBe(200)
})

it('comes from the pipeline on air only, and its reader ends with the stream', async () => {
  const put = (pipeline: string) => httpJson('PUT', `${stage.url}/streams/demo/pipeline`, { body: { pipeline } })
  expect((await put('noop')).status).toBe(200)
  await using lines = await record(`${stage.url}/out/demo.jsonl`)
  const { data } = await stage.status('demo')
  await stage.waitForStatus('demo', 'frames', ({ inference }) => inference.fps > 20)
  expect((await stage.status('demo')).data).toEqual(data)
  expect(lines.bytes()).toHaveLength(0)
  expect((await httpJson('GET', `${stage.url}/out/nobody.jsonl`)).status).toBe(404)
  const ended = lines.ended
  await httpJson('DELETE', `${stage.url}/streams/demo`)
  expect(await ended).toBe(true)
})
