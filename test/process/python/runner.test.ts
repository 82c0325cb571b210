import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { discoverPipelines } from '../../../src/pipeline/catalog/catalog.ts'
import { makeNumberedClip } from '../../helpers/media/clip.ts'
import { millraceCli } from '../../helpers/server/cli.ts'
import { alive, pause, until } from '../pipeline/support/hosts.ts'
import { viewerIsServed } from '../pipeline/support/served.ts'
import { usePython } from './support.ts'

const python = usePython('my-pipeline', 'odd-pipelines')
const { start } = python

test('entry points of both groups are found without running Python', async () => {
  const { pipelines, rejected } = await discoverPipelines({ pipelineDir: python.directory })
  expect(rejected).toEqual([])
  expect(pipelines.get('my-pipeline')).toMatchObject({
    exportName: 'my_pipeline.pipeline:MyPipeline',
    package: { name: 'my-pipeline', version: '0.1.0' },
  })
  expect(pipelines.get('py-invert')).toMatchObject({ package: { name: 'odd-pipelines', version: '1.2.3' } })
})

test('an environment in both PYTHON and PIPELINE_DIR is searched once', async () => {
  const [environment] = readdirSync(python.directory).filter((name) => name.startsWith('python-my-pipeline'))
  const named = { pipelineDir: python.directory, python: join(python.directory, environment!) }
  expect([...(await discoverPipelines(named)).pipelines.keys()]).toContain('my-pipeline')
})

test('a chain mixes the languages, and each stage gets the format it declares', async () => {
  // rgb24 of 512x512, yuv420p, rgb24.
  await using stage = await start('effects,my-pipeline,effects,py-invert')
  await until('outputs', () => stage.source.outputs.length > 30)
  viewerIsServed(stage)
  const { lease } = stage
  await expect(
    lease.updateParams('merge', { effects: { effect: 'invert' }, 'my-pipeline': { strength: 1.5 } }),
  ).rejects.toMatchObject({ code: 'invalid-params', issues: [{ path: ['my-pipeline', 'strength'] }] })
  expect(lease.params.value).toMatchObject({ effects: { effect: 'none' } })
  const update = { effects: { effect: 'invert' }, 'my-pipeline': { strength: 0.5 } }
  expect(await lease.updateParams('merge', update)).toMatchObject({ status: 'applied', params: update })
  expect(stage.told.errors).toEqual([])
})

describe('the package of the guide', () => {
  test('passes frames and accepts params, validated by its pydantic model', async () => {
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

test('a publisher that joins with params that fail gets no others, neither the defaults nor the previous ones', async () => {
  await using stage = await start('py-refuses-on-request', { params: { note: 'of the first' } })
  await until('outputs', () => stage.source.outputs.length > 10)
  await stage.lease.join({ broken: true })
  await until('it is given up', () => stage.lease.state === 'ERROR', 60_000)
  expect(stage.told.errors.map(({ message }) => message).join('\n')).toContain('the weights are broken')
  expect(stage.lease.params.value).toMatchObject({ broken: true, note: '' })
  viewerIsServed(stage)
})

test('params that check_params refuses are refused at once, at a start and in an update', async () => {
  const refused = { code: 'invalid-params', issues: [{ path: [], message: 'that note is refused' }] }
  await expect(start('py-refuses-on-request', { params: { note: 'refused' } })).rejects.toMatchObject(refused)
  await using stage = await start('py-refuses-on-request', { params: { note: 'good' } })
  await expect(stage.lease.updateParams('merge', { note: 'refused' })).rejects.toMatchObject(refused)
  expect(stage.lease.params.value).toMatchObject({ note: 'good' })
  await expect(stage.lease.join({ note: 'refused' })).rejects.toMatchObject(refused)
})

test('it is ready soon, and no frame waits for an import', async () => {
  const began = performance.now()
  await using stage = await start('py-tells-imports')
  await until('ready', () => stage.lease.status.phase === 'ready')
  // 1.5 s on an idle machine, measured by `npm run bench -- runners`.
  expect(performance.now() - began).toBeLessThan(10_000)
  await until('its word', () => stage.told.lines.some((line) => line.startsWith('imported since it loaded')))
  expect(stage.told.lines).toContain('imported since it loaded: []')
})

test('params apply from the next frame on', async () => {
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

test('the next stream on a warm runner starts with its own params', async () => {
  await using stage = await start('py-invert', { params: { amount: 0 } })
  await until('outputs', () => stage.source.outputs.length > 5)
  stage.source.stop()
  await stage.lease.close()
  const next = { pipeline: 'py-invert', params: { amount: 0.5 }, requestId: 'next', onFrame: stage.source.onFrame }
  await using lease = await stage.pool.lease(next, { log: stage.log })
  await until('it is ready', () => lease.state !== 'LOADING')
  expect(lease.params.value).toMatchObject({ amount: 0.5 })
})

test.each(['py-crash-on-load', 'py-no-pipeline'])('%s reports the reason', async (name) => {
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
])('%s: its error is reported, the other frames pass', async (name, during, message) => {
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
  ['py-garbage-on-control', 'where each line must be one JSON message'],
  ['py-endless-control-line', 'a control message of more than'],
])('%s: the overlay shows, and the stream continues', async (name, reason) => {
  await using stage = await start(name)
  await until('a restart', () => stage.told.restarts.length === 1)
  expect(stage.told.restarts[0]!.reason).toContain(reason)
  const before = stage.source.outputs.length
  await until('outputs again', () => stage.source.outputs.length > before + 30)
  viewerIsServed(stage)
})

test('one that never becomes ready is restarted after the time to load', async () => {
  await using stage = await start('py-hangs-on-load', { thresholds: { loadMs: 500, settleMs: 300 } })
  await until('a restart', () => stage.told.restarts.length > 0)
  expect(stage.told.restarts[0]!.reason).toMatch(/did not load in time|was not ready/)
  viewerIsServed(stage)
})

test('one that hangs on a frame gets the overlay, then a new runner', async () => {
  await using stage = await start('py-hangs-on-frame')
  await until('outputs', () => stage.source.outputs.length >= 59)
  await until('a restart', () => stage.told.restarts.length === 1, 30_000)
  expect(stage.told.restarts[0]!.reason).toContain('stopped giving outputs')
  const before = stage.source.outputs.length
  await until('outputs again', () => stage.source.outputs.length > before + 10)
  viewerIsServed(stage)
})

test('one that throws on every frame is reported once per second, and its frames are counted', async () => {
  await using stage = await start('py-throws-always')
  await until('its frames', () => stage.lease.stats().dropped.failed > 60)
  expect(stage.told.errors.length).toBeLessThan(10)
  expect(stage.told.errors[0]).toMatchObject({ during: 'put_video_frame', message: expect.stringContaining('a frame') })
  expect(stage.source.outputs).toEqual([])
  viewerIsServed(stage)
})

test('its forks and child processes end with it, in its process group or outside', async () => {
  await using stage = await start('py-leaves-grandchildren')
  await until('its word', () => stage.told.lines.some((line) => line.startsWith('grandchildren')))
  const pids = stage.told.lines
    .find((line) => line.startsWith('grandchildren'))!
    .split(' ')
    .slice(1)
    .map(Number)
  expect(pids.map(alive)).toEqual([true, true])
  await until('outputs', () => stage.source.outputs.length > 5)
  process.kill(stage.lease.pid!, 'SIGKILL')
  await until('both gone', () => !pids.some(alive))
  await until('a restart', () => stage.told.restarts.length === 1)
  viewerIsServed(stage)
})

test('a runaway allocation is killed at the memory limit and restarted', async () => {
  await using stage = await start('py-allocates', { memoryLimit: 400 * 2 ** 20 })
  await until('a restart', () => stage.told.restarts.length === 1, 60_000)
  expect(stage.told.restarts[0]!.reason).toMatch(/used \d+ MiB of memory, more than 400/)
  const before = stage.source.outputs.length
  await until('outputs again', () => stage.source.outputs.length > before + 10)
  viewerIsServed(stage)
})

test('one that blocks its loop for three seconds is waited for or restarted, under the overlay', async () => {
  await using stage = await start('py-blocks')
  await until('the block', () => stage.source.outputs.length >= 29)
  await until('outputs again', () => stage.source.outputs.length > 90)
  viewerIsServed(stage)
})

test('a flood of prints loses lines, but no frames', async () => {
  await using stage = await start('py-prints-much')
  await until('outputs', () => stage.source.outputs.length > 90)
  expect(stage.told.restarts).toEqual([])
  viewerIsServed(stage)
})

test('a Task returned by update_params is a reload under the overlay, and further params wait for it', async () => {
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

test('a reload that fails ends the process, and the stream continues with a new one', async () => {
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

test('`millrace run` processes every frame of a file, and names the one on which it threw', async () => {
  const clip = { file: join(python.directory, 'clip.mkv'), seconds: 2, fps: 30, width: 128, height: 96 }
  await makeNumberedClip(clip)
  const run = (pipeline: string, output: string) =>
    millraceCli(['run', pipeline, clip.file, '-o', join(python.directory, output), '--json'], {
      settings: { PIPELINE_DIR: python.directory },
      cwd: python.directory,
    })
  const good = await run('py-invert', 'inverted.yuv')
  expect(good.events.at(-1), good.stderr).toMatchObject({ type: 'done', frames: 60, outputs: 60 })
  expect(statSync(join(python.directory, 'inverted.yuv')).size).toBe((60 * 128 * 96 * 3) / 2)
  const bad = await run('py-throws-every-tenth', 'thrown.yuv')
  expect(bad.stderr).toMatch(/millrace: frame 10 at 0\.300 s: ValueError: a tenth frame \(.*__init__\.py:\d+\)/)
  expect(bad.code).toBe(1)
  expect(readdirSync(python.directory)).not.toContain('thrown.yuv')
})

test('`millrace measure` reports the cost of a frame', async () => {
  const { code, stdout, stderr } = await millraceCli(['measure', 'py-invert', '--size', '128x96', '--json'], {
    settings: { PIPELINE_DIR: python.directory },
    cwd: python.directory,
  })
  expect(code, stderr).toBe(0)
  const measured = JSON.parse(stdout)
  expect(measured).toMatchObject({ pipeline: 'py-invert', width: 128, height: 96, format: 'yuv420p' })
  expect(measured.frames).toBeGreaterThanOrEqual(20)
  expect(measured.cpuMs).toBeGreaterThan(0)
  expect(measured.memoryBytes).toBeGreaterThan(10 * 2 ** 20)
})

test('errors name the lines of the author first, and none of ours', async () => {
  const source = readFileSync(
    new URL('../../fixtures/python/odd-pipelines/src/odd_pipelines/__init__.py', import.meta.url),
    'utf8',
  )
  const lineOf = (text: string) => source.split('\n').findIndex((one) => one.includes(text)) + 1
  await using stage = await start('py-throws-every-tenth')
  await until('an error', () => stage.told.errors.length > 0)
  const [logged] = stage.logs.named('the pipeline threw')
  const { message, stack } = logged as unknown as { message: string; stack: string[] }
  const place = `odd_pipelines/__init__.py:${lineOf('raise ValueError("a tenth frame")')})`
  expect(message).toMatch(/^ValueError: a tenth frame \(\/.*\)$/)
  expect(message).toContain(place)
  expect(stack[0]).toMatch(/^at on_frame \(/)
  expect(stack[0]).toContain(place)
  expect(stack.length).toBeGreaterThan(1)
  expect(stack.filter((one) => !one.includes('odd_pipelines'))).toEqual([])
  await using loading = await start('py-crash-on-load')
  await until('a restart', () => loading.told.restarts.length > 0)
  const broken = `odd_pipelines/__init__.py:${lineOf('raise RuntimeError("the weights are broken")')})`
  expect(loading.told.restarts[0]!.reason).toContain(broken)
})

test('a module with an error in it reports the line', async () => {
  const installed = readdirSync(python.directory, { recursive: true, encoding: 'utf8' }).find((name) =>
    name.endsWith('site-packages/odd_pipelines/__init__.py'),
  )
  const module = join(python.directory, installed!)
  const kept = readFileSync(module, 'utf8')
  rmSync(module)
  writeFileSync(module, kept.replace('class CrashOnLoad(Passing):', 'class CrashOnLoad(Passing:'))
  try {
    const { stderr } = await millraceCli(['measure', 'py-invert'], {
      settings: { PIPELINE_DIR: python.directory },
      cwd: python.directory,
    })
    const number = kept.split('\n').findIndex((one) => one.startsWith('class CrashOnLoad')) + 1
    expect(stderr).toMatch(
      new RegExp(`could not import odd_pipelines: SyntaxError: .*odd_pipelines/__init__\\.py:${number}\\)`),
    )
  } finally {
    writeFileSync(module, kept)
  }
})
