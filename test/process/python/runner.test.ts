import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { discoverPipelines } from '../../../src/pipeline/catalog/catalog.ts'
import { installPythonFixtures, type PythonFolder } from '../../helpers/python.ts'
import { inOrder, pause, play, type Stage, until } from '../pipeline/support.ts'

let python: PythonFolder
beforeAll(() => {
  python = installPythonFixtures('my-pipeline', 'odd-pipelines')
}, 400_000)
afterAll(() => python?.[Symbol.dispose]())

const catalog = () =>
  discoverPipelines({
    builtinDir: fileURLToPath(new URL('../../../pipelines', import.meta.url)),
    pipelineDir: python.directory,
  })

async function start(pipeline: string, options: Parameters<typeof play>[1] = {}): Promise<Stage> {
  return play(pipeline, { catalog: await catalog(), ...options })
}

function viewerIsServed({ source }: Stage): void {
  expect(inOrder(source.shown)).toBe(true)
  expect(source.longestGap()).toBeLessThan(1000)
}

test('entry points of both groups are found without running Python', async () => {
  const { pipelines, rejected } = await discoverPipelines({ pipelineDir: python.directory })
  expect(rejected).toEqual([])
  expect(pipelines.get('my-pipeline')).toMatchObject({
    exportName: 'my_pipeline.pipeline:MyPipeline',
    package: { name: 'my-pipeline', version: '0.1.0' },
  })
  expect(pipelines.get('py-invert')).toMatchObject({ package: { name: 'odd-pipelines', version: '1.2.3' } })
})

test('an environment that PYTHON and PIPELINE_DIR both name is searched once', async () => {
  const [environment] = readdirSync(python.directory).filter((name) => name.startsWith('python-my-pipeline'))
  const named = { pipelineDir: python.directory, python: join(python.directory, environment!) }
  expect([...(await discoverPipelines(named)).pipelines.keys()]).toContain('my-pipeline')
})

describe("the guide's package", () => {
  test('passes frames on and takes params, checked by its pydantic model', async () => {
    await using stage = await start('my-pipeline')
    await until('outputs', () => stage.source.outputs.length > 30)
    expect(stage.lease.input).toMatchObject({ format: 'rgb24', width: 512, height: 512 })
    expect(await stage.lease.updateParams('merge', { strength: 0.25 })).toMatchObject({ status: 'applied' })
    expect(stage.told.params.at(-1)?.params).toMatchObject({ strength: 0.25, width: 512 })
    await expect(stage.lease.updateParams('merge', { strength: 1.5 })).rejects.toMatchObject({
      code: 'invalid-params',
      issues: [{ path: ['strength'], message: expect.stringContaining('less than or equal to 1') }],
    })
    const { length } = stage.source.outputs
    await until('more outputs', () => stage.source.outputs.length > length + 30)
    expect(stage.told.restarts).toEqual([])
    expect(stage.told.lines.join('\n')).toContain('Initializing MyPipeline')
    viewerIsServed(stage)
  })

  test('is described with its schema, defaults and package', async () => {
    await using stage = await start('py-invert')
    expect(await stage.pool.describe('my-pipeline')).toMatchObject({
      defaults: { width: 512, height: 512, strength: 0.8, show_reloading_frame: true },
      params: { properties: { strength: { minimum: 0, maximum: 1, description: 'Processing strength' } } },
      input: { format: 'rgb24' },
    })
    expect((await stage.pool.describe('py-invert')).description).toBe('Inverts the luma.')
  })
})

test('params are in force from the next frame on', async () => {
  await using stage = await start('py-invert')
  await until('outputs', () => stage.source.outputs.length > 10)
  const { pts, value } = stage.source.outputs.at(-1)!
  expect(value).toBe(255 - ((pts / 3000) % 251))
  await stage.lease.updateParams('merge', { amount: 0 })
  const { length } = stage.source.outputs
  await until('outputs after the answer', () => stage.source.outputs.length > length + 5)
  const last = stage.source.outputs.at(-1)!
  expect(last.value).toBe((last.pts / 3000) % 251)
})

test('the next stream on a warm runner begins with its own params', async () => {
  await using stage = await start('py-invert', { params: { amount: 0 } })
  await until('outputs', () => stage.source.outputs.length > 5)
  stage.source.stop()
  await stage.lease.close()
  const next = { pipeline: 'py-invert', params: { amount: 0.5 }, requestId: 'next', onFrame: stage.source.onFrame }
  await using lease = await stage.pool.lease(next, { log: stage.log })
  await until('it is ready', () => lease.state !== 'LOADING')
  expect(lease.params.value).toMatchObject({ amount: 0.5 })
})

test.each(['py-crash-on-load', 'py-no-pipeline'])('%s says why', async (name) => {
  if (name === 'py-no-pipeline') {
    await expect(start(name)).rejects.toMatchObject({
      code: 'pipeline-failed',
      message: expect.stringContaining('must be a class that extends Pipeline'),
    })
    return
  }
  await using stage = await start(name)
  await until('a restart', () => stage.told.restarts.length > 0)
  expect(stage.told.restarts[0]!.reason).toContain('the weights are broken')
  viewerIsServed(stage)
})

test.each([
  ['py-throws-every-tenth', 'put_video_frame', 'a tenth frame'],
  ['py-wrong-shape', 'get_processed_video_frame', 'two dimensions'],
  ['py-wrong-dtype', 'get_processed_video_frame', 'uint8'],
  ['py-foreign-request', 'get_processed_video_frame', 'which is not running'],
  ['py-cancels', 'get_processed_video_frame', 'CancelledError'],
])('%s: its error is told, the other frames pass', async (name, during, message) => {
  await using stage = await start(name)
  await until('outputs', () => stage.source.outputs.length > 60)
  await until('the error', () => stage.told.errors.length > 0)
  expect(stage.told.errors[0]).toMatchObject({ during, message: expect.stringContaining(message) })
  expect(stage.told.restarts).toEqual([])
  viewerIsServed(stage)
  stage.source.stop()
  await until('nothing inside', () => stage.lease.stats().frames.inside === 0)
})

test.each([
  ['py-exits', 'exited with code 3'],
  ['py-segfault', 'SIGSEGV'],
  ['py-writes-to-control', 'NaN'],
])('%s: the overlay shows, and it goes on', async (name, reason) => {
  await using stage = await start(name)
  await until('a restart', () => stage.told.restarts.length === 1)
  expect(stage.told.restarts[0]!.reason).toContain(reason)
  const before = stage.source.outputs.length
  await until('outputs again', () => stage.source.outputs.length > before + 30)
  viewerIsServed(stage)
})

test('one that blocks its loop for three seconds is waited for or started again, under the overlay', async () => {
  await using stage = await start('py-blocks')
  await until('the block', () => stage.source.outputs.length >= 29)
  await until('outputs again', () => stage.source.outputs.length > 90)
  viewerIsServed(stage)
})

test('a print flood costs lines and no frames', async () => {
  await using stage = await start('py-prints-much')
  await until('outputs', () => stage.source.outputs.length > 90)
  expect(stage.told.restarts).toEqual([])
  viewerIsServed(stage)
})

test('a Task from update_params is a reload under the overlay, and params wait for it', async () => {
  await using stage = await start('py-reloads')
  await until('outputs', () => stage.source.outputs.length > 10)
  expect(await stage.lease.updateParams('merge', { model: 'b' })).toMatchObject({ status: 'accepted' })
  await until('the reload', () => stage.told.phases.includes('reloading'))
  await until('params in force', () => stage.told.params.at(-1)?.params.model === 'b')
  const { length } = stage.source.outputs
  await until('outputs again', () => stage.source.outputs.length > length + 10)
  expect(stage.told.restarts).toEqual([])
  viewerIsServed(stage)
})

test('a reload that fails ends the process, and the stream goes on with a new one', async () => {
  await using stage = await start('py-reloads')
  await until('outputs', () => stage.source.outputs.length > 10)
  await stage.lease.updateParams('merge', { fail: true }).catch(() => {})
  await until('a restart', () => stage.told.restarts.length > 0)
  expect(stage.told.restarts[0]!.reason).toContain('the other model is broken')
  const { length } = stage.source.outputs
  await until('outputs again', () => stage.source.outputs.length > length + 10)
  await pause(0)
  viewerIsServed(stage)
})
