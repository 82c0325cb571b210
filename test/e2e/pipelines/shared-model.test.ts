import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { StreamStatus } from '../../../src/stream/status.ts'
import { newestFrame } from '../../helpers/browser/newest-frame.ts'
import { awaitOverlayAndFrames } from '../../helpers/media/overlay.ts'
import { type Recording, record } from '../../helpers/media/record.ts'
import { descendants } from '../../helpers/nothing-left.ts'
import { writeModel } from '../../helpers/package/test-models.ts'
import { httpJson } from '../../helpers/server/http.ts'
import { type Stage, setStage } from '../../helpers/server/stage.ts'
import { waitFor } from '../../helpers/wait.ts'

const NAMES = ['one', 'two', 'three', 'four']
type Line = { data: { value: number; batch: number } }

let models: string
let stage: Stage
beforeAll(async () => {
  models = mkdtempSync(join(tmpdir(), 'mr-models-'))
  const dims = ['n', 3, 'h', 'w']
  writeModel(join(models, 'half.onnx'), {
    inputs: [{ name: 'in', dims }],
    outputs: [{ name: 'out', dims }],
    constants: { half: { dims: [], values: [0.5] } },
    nodes: [{ op: 'Mul', inputs: ['in', 'half'], outputs: ['out'] }],
  })
  const PIPELINE_DIR = fileURLToPath(new URL('../../fixtures/pipelines', import.meta.url))
  stage = await setStage({ env: { PIPELINE_DIR, MODEL_DIR: models, WARM_PIPELINES: '0', MAX_STREAMS: '8' } })
  const clip = await stage.clip({ seconds: 240, width: 160, height: 120, fps: 15, kbps: 150 })
  for (const [at, name] of NAMES.entries())
    await stage.publish(name, clip, { query: `?pipeline=shares-model&params={"value":${at}}` })
  await ready(NAMES)
})
afterAll(async () => {
  await stage?.[Symbol.asyncDispose]()
  rmSync(models, { recursive: true, force: true })
})

const statuses = (names: readonly string[]): Promise<StreamStatus[]> => Promise.all(names.map(stage.status))
const ready = (names: readonly string[]) =>
  Promise.all(names.map((name) => stage.waitForStatus(name, 'frames', ({ inference }) => inference.fps > 5)))
const pids = async (names: readonly string[]) =>
  new Set((await statuses(names)).map(({ processes }) => processes.pipeline))
const restarts = async (names: readonly string[]) => (await statuses(names)).map(({ inference }) => inference.restarts)
const patch = (name: string, body: object) => httpJson('PATCH', `${stage.url}/streams/${name}/params`, { body })
const recordAll = (names: readonly string[], suffix: string) =>
  Promise.all(names.map((name) => record(`${stage.url}/out/${name}.${suffix}`)))

function linesOf(recording: Recording): Line[] {
  const lines = recording.bytes().toString().split('\n').slice(0, -1)
  return lines.map((line) => JSON.parse(line) as Line)
}

async function grown(recordings: readonly Recording[], bytes: number): Promise<void> {
  const before = recordings.map((recording) => recording.bytes().length)
  await waitFor('frames', () => recordings.every((one, at) => one.bytes().length > before[at]! + bytes))
}

it('four streams share one process and the runs of its model, each with params of its own', async () => {
  expect((await pids(NAMES)).size).toBe(1)
  const runners = descendants(stage.server.pid).filter(({ command }) => command.includes('runner.ts'))
  expect(runners.map(({ pid }) => pid)).toEqual([...(await pids(NAMES))])
  const recordings = await recordAll(NAMES, 'jsonl')
  await waitFor('what it tells of all', () => recordings.every((recording) => linesOf(recording).length > 30))
  for (const [at, recording] of recordings.entries())
    expect(new Set(linesOf(recording).map(({ data }) => data.value))).toEqual(new Set([at]))
  const batches = recordings.flatMap((recording) => linesOf(recording).map(({ data }) => data.batch))
  expect(Math.max(...batches)).toBeGreaterThan(1)

  const dark = await newestFrame(stage.url, 'one')
  expect((await patch('one', { value: 77, half: false })).status).toBe(200)
  await waitFor('its change', () => linesOf(recordings[0]!).at(-1)?.data.value === 77)
  await waitFor('frames as they came', async () => (await newestFrame(stage.url, 'one')).luma > 1.7 * dark.luma)
  expect(linesOf(recordings[1]!).at(-1)?.data.value).toBe(1)
  expect((await patch('two', { value: 'x' })).status).toBe(422)
  for (const recording of recordings) recording.stop()
  expect(await restarts(NAMES)).toEqual([0, 0, 0, 0])
})

it('when the process is killed all show the overlay, and all come back in one process with their params', async () => {
  const [killed] = await pids(NAMES)
  const viewers = await recordAll(NAMES, 'ts')
  await grown(viewers, 5000)
  process.kill(killed!, 'SIGKILL')
  for (const name of NAMES)
    await stage.waitForStatus(
      name,
      'its next process',
      ({ processes, inference }) => ![null, killed].includes(processes.pipeline) && inference.restarts === 1,
    )
  for (const viewer of viewers) {
    const { before, overlay } = await awaitOverlayAndFrames(viewer)
    viewer.stop()
    expect(before.length).toBeGreaterThan(0)
    expect(overlay).toBeGreaterThan(2)
  }
  await ready(NAMES)
  expect((await pids(NAMES)).size).toBe(1)
  expect(await pids(NAMES)).not.toContain(killed)
  const values = (await statuses(NAMES)).map(({ params }) => params!.value.value)
  expect(values).toEqual([77, 1, 2, 3])
})

it('a stream whose frames come to no end is let go alone, and is back when they end again', async () => {
  const others = NAMES.slice(1)
  const [shared] = await pids(NAMES)
  const before = await restarts(others)
  expect((await patch('one', { hangs: true })).status).toBe(200)
  await stage.waitForStatus('one', 'a restart', ({ inference }) => inference.restarts > 1)
  await stage.waitForStatus(
    'one',
    'a process of its own',
    ({ processes }) => ![null, shared].includes(processes.pipeline),
  )
  await ready(others)
  expect(await pids(others)).toEqual(new Set([shared]))
  expect(await restarts(others)).toEqual(before)
  expect((await patch('one', { hangs: false })).status).toBeLessThan(300)
  await ready(NAMES)
  expect(await restarts(others)).toEqual(before)
})
