import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { StreamStatus } from '../../../src/stream/status.ts'
import { decodeNumbers } from '../../helpers/media/probe-ts.ts'
import { record } from '../../helpers/media/record.ts'
import { descendants } from '../../helpers/nothing-left.ts'
import { httpJson } from '../../helpers/server/http.ts'
import { type Stage, setStage } from '../../helpers/server/stage.ts'
import { waitFor } from '../../helpers/wait.ts'

type Answer = { pipeline: string; params: Record<string, unknown>; code: string; detail: string }
type Values = Record<string, unknown>

let stage: Stage
beforeAll(async () => {
  const fixtures = fileURLToPath(new URL('../../fixtures/pipelines', import.meta.url))
  stage = await setStage({ env: { PIPELINE_DIR: fixtures, WARM_PIPELINES: '0' } })
  const clip = await stage.clip({ seconds: 240, width: 320, height: 240, fps: 30, kbps: 300 })
  await stage.publish('demo', clip, { query: '?pipeline=noop' })
  await stage.waitForStatus('demo', 'the pipeline', ({ inference }) => inference.fps > 20)
})
afterAll(() => stage?.[Symbol.asyncDispose]())

const swap = (pipeline: string, params?: Values, stream = 'demo') =>
  httpJson<Answer>('PUT', `${stage.url}/streams/${stream}/pipeline`, { body: { pipeline, ...(params && { params }) } })
const patch = (params: Values) =>
  httpJson<Answer>('PATCH', `${stage.url}/streams/demo/params`, { body: params }).then(({ status }) => status)

/** Frame numbers viewers got during `work`; undefined for an overlay. */
async function numbersDuring(work: () => Promise<void>, stream = 'demo'): Promise<(number | undefined)[]> {
  await using viewer = await record(`${stage.url}/out/${stream}.ts`)
  await waitFor('the first frames', async () => viewer.bytes().length > 5000)
  await work()
  const seen = viewer.bytes().length
  await waitFor('frames after it', async () => viewer.bytes().length > seen + 10_000)
  viewer.stop()
  // The last one may be truncated.
  return (await decodeNumbers(viewer.bytes())).slice(0, -1).map(({ number }) => number)
}

function expectRising(numbers: (number | undefined)[]): void {
  expect(numbers.length).toBeGreaterThan(10)
  expect(numbers).not.toContain(undefined)
  expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a! - b!))
}

/** On a busy machine the input may be late as well. */
function expectOnAir({ pipeline, state, inference }: StreamStatus): void {
  expect(pipeline).toBe('noop')
  expect(state).toMatch(/^(ONLINE|DEGRADED_INPUT)$/)
  expect(inference.restarts).toBe(0)
}

/**
 * A busy machine may lose a frame at any time, so `work` is repeated; a loss caused by `work` itself recurs each time.
 */
async function expectEachOnce(work: () => Promise<void>, stream = 'demo'): Promise<void> {
  const missing: number[] = []
  for (let round = 0; round < 5; round++) {
    const numbers = await numbersDuring(work, stream)
    expectRising(numbers)
    missing.push(numbers.at(-1)! - numbers[0]! + 1 - numbers.length)
    if (missing.at(-1) === 0) return
  }
  expect(missing).toContain(0)
}

it('swaps twenty times without a dropped frame or an overlay', async () => {
  const before = await stage.status('demo')
  await expectEachOnce(async () => {
    for (let round = 0; round < 10; round++) {
      const { status, json } = await swap('effects', { effect: 'none' })
      expect(status).toBe(200)
      expect(json).toMatchObject({ pipeline: 'effects', params: { effect: 'none' } })
      expect((await swap('noop')).json.pipeline).toBe('noop')
    }
  })
  const { inference, processes } = await stage.status('demo')
  expect(inference.restarts).toBe(0)
  expect(processes).toMatchObject({ encoder: before.processes.encoder, decoder: before.processes.decoder })
})

it('swaps to other formats of input and output', async () => {
  const clip = await stage.clip({ seconds: 120, width: 320, height: 240, fps: 10, kbps: 200 })
  await using publisher = await stage.publish('forms', clip, { query: '?pipeline=noop' })
  const ofWidth = (width: number) =>
    stage.waitForStatus('forms', `frames ${width} wide`, ({ egress }) => egress.width === width)
  await expectEachOnce(async () => {
    expect((await swap('rgb-whole', undefined, 'forms')).status).toBe(200)
    const { json } = await swap('noop', { width: 640, height: 480 }, 'forms')
    expect(json.params).toMatchObject({ width: 640, height: 480 })
    await ofWidth(640)
    expect((await swap('rgb-whole', { width: 240, height: 180 }, 'forms')).status).toBe(200)
    await ofWidth(240)
    expect((await swap('noop', undefined, 'forms')).status).toBe(200)
    await ofWidth(320)
  }, 'forms')
  await publisher.stop()
})

it('swaps to a chain, whose stages have their own params and status, and back', async () => {
  await expectEachOnce(async () => {
    const { status, json } = await swap('noop, effects', { effects: { strength: 0.5 } })
    expect(status).toBe(200)
    expect(json).toMatchObject({ pipeline: 'noop,effects', params: { effects: { effect: 'none', strength: 0.5 } } })
    expect(await patch({ effects: { strength: 0.25 } })).toBe(200)
    expect(await patch({ strength: 0.25 })).toBe(422)
    expect(await patch({ effects: { strength: 7 } })).toBe(422)
    // The frame rate depends on the machine.
    const { pipeline, stages, params } = await stage.waitForStatus('demo', 'both stages', (now) =>
      now.stages.every(({ state, fps }) => state !== 'LOADING' && fps > 0),
    )
    expect(pipeline).toBe('noop,effects')
    expect(stages).toMatchObject([
      { name: 'noop', restarts: 0, lastError: null },
      { name: 'effects', pipeline: 'effects', params: { value: { strength: 0.25 } } },
    ])
    expect(params?.value).toMatchObject({ effects: { strength: 0.25 } })
    expect(new Set(stages.map(({ process }) => process)).size).toBe(2)
    const metrics = await (await fetch(`${stage.url}/metrics`)).text()
    expect(metrics).toMatch(/millrace_stream_chain_latency_seconds\{stream="demo",stage="effects",percentile="50"\} 0/)
    // The same chain requested again keeps its params.
    expect((await swap('noop,effects')).json.params).toMatchObject({ effects: { strength: 0.25 } })
    expect((await swap('noop')).status).toBe(200)
  })
  const { json } = await httpJson<Values>('GET', `${stage.url}/pipelines/noop,effects`)
  expect(json).toMatchObject({ name: 'noop,effects', stages: [{ stage: 'noop' }, { stage: 'effects' }] })
  expect((await swap('noop,nope')).status).toBe(404)
  expect((await swap('noop,')).status).toBe(400)
  expect((await stage.status('demo')).stages).toEqual([])
})

it('keeps the old one on air when the new one fails, and reports the reason', async () => {
  const { processes } = await stage.status('demo')
  const failing: [string, Values | undefined, number, string, RegExp][] = [
    ['nope', undefined, 404, 'not-found', /there is no pipeline nope/],
    ['effects', { strength: 7 }, 422, 'invalid-params', /strength/],
    ['crash-on-import', undefined, 422, 'pipeline-failed', /./],
    ['crash-on-load', undefined, 422, 'pipeline-failed', /the weights are broken/],
    ['throws-always', undefined, 422, 'pipeline-failed', /no frame is good enough/],
  ]
  const numbers = await numbersDuring(async () => {
    for (const [pipeline, params, expected, code, why] of failing) {
      const { status, json } = await swap(pipeline, params)
      expect({ pipeline, status, code: json.code }).toEqual({ pipeline, status: expected, code })
      expect(JSON.stringify(json)).toMatch(why)
      expectOnAir(await stage.status('demo'))
      expect((await stage.status('demo')).processes.pipeline).toBe(processes.pipeline)
    }
  })
  expectRising(numbers)
  const { status } = await httpJson('PUT', `${stage.url}/streams/nobody/pipeline`, { body: { pipeline: 'noop' } })
  expect(status).toBe(404)
  for (const body of [{}, { pipeline: 7 }, [], { pipeline: 'noop', params: 'x' }])
    expect((await httpJson('PUT', `${stage.url}/streams/demo/pipeline`, { body })).status).toBe(400)
})

it('keeps the old one on air when the new runner is killed during its load', async () => {
  const runners = () => descendants(stage.server.pid).filter(({ command }) => command.includes('runner'))
  const before = new Set(runners().map(({ pid }) => pid))
  const answer = swap('slow-to-load', { load_ms: 60_000 })
  const killed = await waitFor('the new runner', async () => runners().find(({ pid }) => !before.has(pid)))
  process.kill(killed.pid, 'SIGKILL')
  expect(await answer).toMatchObject({ status: 422, json: { code: 'pipeline-failed' } })
  expectOnAir(await stage.status('demo'))
})

it('params may change meanwhile, and the same pipeline keeps them in its new runner', async () => {
  expect((await swap('effects', { effect: 'none', strength: 0.5 })).status).toBe(200)
  const slow = swap('slow-to-load', { load_ms: 1500, level: 9 })
  for (const strength of [0.1, 0.2, 0.3]) expect(await patch({ strength })).toBe(200)
  expect(await slow).toMatchObject({ status: 200, json: { pipeline: 'slow-to-load', params: { level: 9 } } })
  expect((await swap('effects', { effect: 'none', strength: 0.5 })).status).toBe(200)
  const { processes } = await stage.status('demo')
  const again = swap('effects')
  expect(await patch({ strength: 0.4 })).toBe(200)
  expect(await again).toMatchObject({ status: 200, json: { params: { effect: 'none', strength: 0.4 } } })
  expect((await stage.status('demo')).processes.pipeline).not.toBe(processes.pipeline)
})

it('the latest of several requests wins, and each one is answered', async () => {
  await using events = await record(`${stage.url}/streams/demo/events`)
  const first = swap('never-ready')
  await waitFor('the first', async () => events.bytes().includes('"status":"loading","pipeline":"never-ready"'))
  const second = await swap('noop')
  expect(second).toMatchObject({ status: 200, json: { pipeline: 'noop' } })
  expect(await first).toMatchObject({ status: 409, json: { code: 'conflict' } })
  expect((await stage.status('demo')).pipeline).toBe('noop')
})
