import { fileURLToPath } from 'node:url'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { StreamStatus } from '../../../src/stream/status.ts'
import { launchChromium } from '../../helpers/browser/chromium.ts'
import { askParams, joinWithChannels, PUBLISH_CANVAS } from '../../helpers/browser/data-channels.ts'
import { newestFrame } from '../../helpers/browser/newest-frame.ts'
import { LONG_CLIP } from '../../helpers/media/clip.ts'
import { awaitOverlayAndFrames } from '../../helpers/media/overlay.ts'
import { startPublisher } from '../../helpers/media/publish.ts'
import { record } from '../../helpers/media/record.ts'
import { http, httpJson } from '../../helpers/server/http.ts'
import { type Stage, setStage } from '../../helpers/server/stage.ts'
import { waitFor } from '../../helpers/wait.ts'
import { makeSegments, OrchestratedStream, StandInOrchestrator } from '../livepeer/orchestrator.ts'

let elsewhere: StandInOrchestrator
let stage: Stage
beforeAll(async () => {
  elsewhere = await StandInOrchestrator.open()
  const PIPELINE_DIR = fileURLToPath(new URL('../../fixtures/pipelines', import.meta.url))
  const env = { PIPELINE_DIR, WARM_PIPELINES: '0', MAX_STREAMS: '8', PIPELINE: 'noop', ALLOWED_URLS: elsewhere.origin }
  stage = await setStage({ env })
})
afterAll(async () => {
  await stage?.[Symbol.asyncDispose]()
  await elsewhere?.[Symbol.asyncDispose]()
})

const end = async (stream: string) => expect((await http('DELETE', `${stage.url}/streams/${stream}`)).status).toBe(200)
const paramsOf = ({ stages }: StreamStatus) =>
  Object.fromEntries(stages.map(({ name, params }) => [name, params.value]))
const isInverted = async (stream: string) => (await newestFrame(stage.url, stream)).luma > 200

/** The stream shows what its stages make, each in a process of its own. */
async function expectStages(stream: string, names: string[]): Promise<void> {
  const { pipeline, stages } = await stage.waitForStatus(stream, 'frames from all stages', (now) =>
    now.stages.every(({ state, fps }) => state !== 'LOADING' && fps > 0),
  )
  expect(pipeline).toBe(names.join())
  expect(stages.map(({ name }) => name)).toEqual(names)
  expect(new Set(stages.map(({ process }) => process)).size).toBe(names.length)
}

it('a WHIP publisher names a chain in the query, and changes the params of a stage over its data channel', async () => {
  await using browser: Browser = await launchChromium()
  const params = encodeURIComponent('{"redact":{"blur":2},"effects":{"strength":0.9}}')
  const path = `/whip/sent?pipeline=redact,effects&params=${params}`
  const page = await joinWithChannels(browser, stage.url, path, ['params'], { add: PUBLISH_CANVAS })
  await stage.waitForStatus('sent', 'frames', ({ egress }) => egress.fps > 0)
  await expectStages('sent', ['redact', 'effects'])
  const [merged, refused, strange] = await askParams(
    page,
    '{"effects":{"effect":"invert","strength":1}}',
    '{"effects":{"strength":9},"redact":{"blur":3}}',
    '{"effect":"none"}',
  )
  const inForce = { redact: { blur: 2 }, effects: { effect: 'invert', strength: 1 } }
  expect(merged).toMatchObject({ status: 200, pipeline: 'redact,effects', params: inForce })
  expect(refused).toMatchObject({ status: 422, errors: [{ path: '/effects/strength' }] })
  expect(strange).toMatchObject({ status: 422, code: 'invalid-params' })
  expect(paramsOf(await stage.status('sent'))).toMatchObject(inForce)
  await waitFor('the black canvas in white', () => isInverted('sent'))
  const { stages } = await stage.status('sent')
  for (const { latencyMs, restarts, lastError } of stages) {
    expect(latencyMs.p50).toBeGreaterThan(0)
    expect([restarts, lastError]).toEqual([0, null])
  }
  await page.close()
  await end('sent')
})

it('a trickle publisher names a chain in the query, and changes the params of its stages by the control channel', async () => {
  const clip = await stage.clip(LONG_CLIP)
  const query = `pipeline=effects,params-probe&params=${encodeURIComponent('{"params-probe":{"value":3}}')}`
  await using _ = await startPublisher({ input: clip, url: `${stage.url}/trickle/fed/0?${query}` })
  await waitFor('the stream', async () => (await stage.status('fed')).egress.fps > 0)
  await expectStages('fed', ['effects', 'params-probe'])
  expect(paramsOf(await stage.status('fed'))).toMatchObject({
    effects: { effect: 'none' },
    'params-probe': { value: 3 },
  })
  let seq = 0
  const control = async (body: unknown) =>
    expect((await http('POST', `${stage.url}/trickle/fed-control/${seq++}`, { body })).status).toBe(200)
  await control({ effects: { effect: 'edges' }, 'params-probe': { value: 9 } })
  await stage.waitForStatus('fed', 'the params of both stages', (now) => {
    const { effects, 'params-probe': probe } = paramsOf(now)
    return effects?.effect === 'edges' && probe?.value === 9
  })

  await using events = await record(`${stage.url}/streams/fed/events`)
  const { params } = await stage.status('fed')
  await control({ effects: { effect: 'tint' }, 'params-probe': { value: -1 } })
  await waitFor('the error', () => /"source":"control".*params-probe/.test(events.bytes().toString()))
  expect((await stage.status('fed')).params).toEqual(params)
  // As a whole set: a stage that is not named returns to what it began with.
  await control({ effects: { effect: 'invert' } })
  await stage.waitForStatus('fed', 'the params of both stages', (now) => {
    const { effects, 'params-probe': probe } = paramsOf(now)
    return effects?.effect === 'invert' && probe?.value === 0
  })
  await end('fed')
})

it('POST /streams names a chain, whose stages take params from a control channel elsewhere', async () => {
  const stream = new OrchestratedStream(elsewhere, 'chain')
  const urls = {
    subscribeUrl: elsewhere.url('chain'),
    publishUrl: elsewhere.url('chain-out'),
    controlUrl: elsewhere.url('chain-control'),
    eventsUrl: elsewhere.url('chain-events'),
  }
  const post = (body: object) =>
    httpJson<{ pipeline: string }>('POST', `${stage.url}/streams`, { body: { ...urls, name: 'pulled', ...body } })
  const wrong = await post({ pipeline: 'noop,effects', params: { effects: { strength: 7 } } })
  expect(wrong).toMatchObject({
    status: 422,
    json: { errors: [{ path: expect.stringContaining('/effects/strength') }] },
  })
  const { status, json } = await post({ pipeline: 'noop,effects', params: { effects: { effect: 'grayscale' } } })
  expect([status, json.pipeline]).toEqual([201, 'noop,effects'])
  const publishing = stream.publish(await makeSegments(12))
  await expectStages('pulled', ['noop', 'effects'])
  expect(paramsOf(await stage.status('pulled'))).toMatchObject({ effects: { effect: 'grayscale' } })
  await stream.control({ effects: { effect: 'invert', strength: 0.5 } })
  const { params } = await stage.waitForStatus('pulled', 'the params', (now) => paramsOf(now).effects?.strength === 0.5)
  await waitFor('the event of it', () =>
    stream.ofType('params').some(({ event }) => event.status === 'applied' && event.revision === params?.revision),
  )
  await stream.control({ effects: { effect: 'none' }, noop: { width: 'wide' } })
  await waitFor('the error', () => stream.ofType('error').some(({ event }) => /noop/.test(String(event.message))))
  expect((await stage.status('pulled')).params).toEqual(params)
  await waitFor('output', () => stream.output.length > 0)
  await end('pulled')
  stream.end()
  await publishing
})

it('a stage that is killed shows the overlay and comes back; the other one keeps its process and its model', async () => {
  const clip = await stage.clip(LONG_CLIP)
  await stage.publish('killed', clip, { query: '?pipeline=says,effects&params={"effects":{"strength":0.5}}' })
  await expectStages('killed', ['says', 'effects'])
  await using lines = await record(`${stage.url}/out/killed.jsonl`)
  type Line = { data: { frames: number } }
  /** How many frames the first stage's model saw, with each frame. */
  const counts = () => {
    const all = lines.bytes().toString().split('\n').slice(0, -1)
    return all.map((line) => (JSON.parse(line) as Line).data.frames)
  }
  for (const [victim, name] of ['says', 'effects'].entries()) {
    const other = 1 - victim
    const { stages: before } = await stage.status('killed')
    await using viewer = await record(`${stage.url}/out/killed.ts`)
    await waitFor('frames', () => viewer.bytes().length > 10_000)
    const counted = counts().length
    process.kill(before[victim]!.process!, 'SIGKILL')
    const seen = new Set<string>()
    const { stages, inference } = await stage.waitForStatus('killed', `another ${name}`, (now) => {
      seen.add(now.state)
      return seen.has('LOADING') && now.state !== 'LOADING'
    })
    expect(stages[other]).toMatchObject({ process: before[other]!.process, restarts: before[other]!.restarts })
    expect(stages[victim]!.process).not.toBe(before[victim]!.process)
    expect(stages[victim]!.restarts).toBe(before[victim]!.restarts + 1)
    expect(inference.restarts).toBe(victim + 1)
    expect(stages[1]!.params.value).toMatchObject({ strength: 0.5 })
    const { before: earlier, overlay } = await awaitOverlayAndFrames(viewer)
    expect(earlier.length).toBeGreaterThan(0)
    expect(overlay).toBeGreaterThan(3)
    const since = counts().slice(counted - 1)
    const rises = since.every((count, at) => at === 0 || count > since[at - 1]!)
    expect(rises, 'the first stage still has what it had loaded').toBe(name !== 'says')
  }
  expect((await http('GET', `${stage.url}/health`)).status).toBe(200)
  await end('killed')
})
