import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, renameSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import type { VideoFrame } from '../../../src/core/media/frame.ts'
import { millrace } from '../../helpers/package/python.ts'
import { listen, openTestPool, Source, type Stage, until } from '../pipeline/support/hosts.ts'
import { usePython } from './support.ts'

const CLI = fileURLToPath(new URL('../../../src/cli.ts', import.meta.url))

const python = usePython('variants', 'live-effect')
const { catalog, start } = python

const shows = async ({ source }: Stage, value: number) =>
  until(`${value} in the picture`, () => source.outputs.at(-1)?.value === value)

describe('variants of one package', () => {
  test.each([
    ['variant', 80, { strength: 0.8 }],
    ['variant-fast', 40, { strength: 0.4 }],
    ['variant-hq', 180, { strength: 0.8 }],
    ['variant-spec', 25, { strength: 0.25, prompt: 'a castle' }],
  ])('%s runs with its own defaults', async (name, value, defaults) => {
    await using stage = await start(name)
    expect((await stage.pool.describe(name)).defaults).toMatchObject(defaults)
    await shows(stage, value)
    expect(stage.lease.params.value).toMatchObject(defaults)
    await stage.lease.updateParams('merge', { strength: 0.5 })
    await shows(stage, name === 'variant-hq' ? 150 : 50)
    await stage.lease.updateParams('merge', { strength: null })
    await shows(stage, value)
  })

  test('the params of a spec rank below those of a stream, across a restart and for the next stream', async () => {
    await using stage = await start('variant-spec', { params: { prompt: 'a forest' } })
    await shows(stage, 25)
    expect(stage.lease.params.value).toMatchObject({ strength: 0.25, prompt: 'a forest' })
    await stage.lease.updateParams('merge', { strength: 0.6 })
    await shows(stage, 60)
    await stage.lease.updateParams('replace', { prompt: 'a lake' })
    await shows(stage, 25)
    expect(stage.lease.params.value).toMatchObject({ strength: 0.25, prompt: 'a lake' })
    await stage.lease.updateParams('merge', { strength: 0.7 })
    stage.source.stop()
    await stage.lease.close()
    const request = { pipeline: 'variant-spec', requestId: 'next', onFrame: stage.source.onFrame }
    await using lease = await stage.pool.lease(request, { log: stage.log })
    await until('it is ready', () => lease.state !== 'LOADING')
    expect(lease.params.value).toMatchObject({ strength: 0.25, prompt: 'a castle' })
  })

  test('a pipeline that fails to load with the given params is not tried with others', async () => {
    await using stage = await start('variant-picky', { params: { strength: 0.3 } })
    await until('it is given up', () => stage.lease.state === 'ERROR', 60_000)
    expect(JSON.stringify(stage.told.restarts)).toContain('no engine for these params')
    expect(stage.lease.params.value).toMatchObject({ strength: 0.3 })
  })

  test('params that a validator transforms are returned as they were set, so that they can be sent back', async () => {
    await using stage = await start('variant-tidy')
    await shows(stage, 80)
    expect(stage.lease.params.value).toMatchObject({ tags: 'a,b', strength: 0.8 })
    expect(await stage.lease.updateParams('merge', { tags: 'x,y,z' })).toMatchObject({ params: { tags: 'x,y,z' } })
    const { value } = stage.lease.params
    expect(await stage.lease.updateParams('replace', value)).toMatchObject({ status: 'applied', params: value })
    expect((await stage.pool.describe('variant-tidy')).defaults).toMatchObject({ tags: 'a,b' })
  })
})

test('the description is cached for the next server until its package changes', async () => {
  const options = { catalog: await catalog(), descriptionDir: join(python.directory, '.descriptions') }
  const describeIn = async (name: string) => {
    await using world = await openTestPool(options)
    return await world.pool.describe(name)
  }
  const said = await describeIn('variant-fast')
  const entry = options.catalog.pipelines.get('variant-fast')!
  const moved = `${entry.interpreter}.moved`
  renameSync(entry.interpreter!, moved)
  try {
    expect(await describeIn('variant-fast')).toEqual(said)
    await expect(describeIn('variant-hq')).rejects.toThrow()
    const now = Date.now() / 1000
    utimesSync(join(entry.package.directory, 'RECORD'), now, now)
    await expect(describeIn('variant-fast')).rejects.toThrow()
  } finally {
    renameSync(moved, entry.interpreter!)
  }
  expect(await describeIn('variant-fast')).toEqual(said)
})

test('a pipeline runs in the folder of its package, and finds the model folder', async () => {
  const modelDir = join(python.directory, 'models')
  await using stage = await start('variant-tidy', { modelDir, defaultPipeline: 'variant-tidy' })
  await shows(stage, 80)
  const placed = stage.logs.lines.map(({ line }) => String(line)).find((line) => line.startsWith('placed in'))
  expect(placed).toBe(`placed in ${join(modelDir, 'variants')} ${modelDir} ${modelDir}`)
})

test('modules in the working directory of the server do not shadow those of a pipeline', () => {
  const cwd = join(python.directory, 'elsewhere')
  mkdirSync(join(cwd, 'app'), { recursive: true })
  for (const file of ['app/__init__.py', 'numpy.py', 'runner.py', 'asyncio.py'])
    writeFileSync(join(cwd, file), 'raise RuntimeError("not this one")\n')
  const env = { PATH: process.env.PATH, PIPELINE_DIR: python.directory }
  const output = execFileSync(process.execPath, [CLI, 'prepare', 'live-effect'], { cwd, env, encoding: 'utf8' })
  expect(output).toContain('preparing the live effect')
})

test('prepare calls prepare_models, whether it is a class method or not', () => {
  expect(millrace(python.directory, 'prepare', 'live-effect')).toContain('preparing the live effect')
  expect(millrace(python.directory, 'prepare', 'variant-hq')).toContain('engines of VariantHQ')
})

describe('a package for ai-runner 0.14', () => {
  test('is found by the PipelineSpec in its main.py', async () => {
    const { pipelines, rejected } = await catalog()
    expect(rejected).toEqual([])
    expect(pipelines.get('live-effect')).toMatchObject({
      exportName: 'live_effect.main:pipeline_spec',
      package: { name: 'live-effect', version: '0.14.1' },
    })
  })

  test('runs its OpenCV effect with the params of its spec', async () => {
    await using world = await openTestPool({ catalog: await catalog() })
    const source = new Source()
    let edges = 0
    const onFrame = (frame: VideoFrame) => {
      const at = (x: number, y: number) => frame.data[(y * frame.width + x) * 3]
      // A line is drawn on both sides of its position.
      const line = at(150, 99) === 255 || at(150, 100) === 255
      if (line && at(150, 150) === 0 && at(50, 50) === 0) edges++
      source.onFrame(frame)
    }
    const request = { pipeline: 'live-effect', requestId: 'the stream', onFrame }
    await using lease = await world.pool.lease(request, { log: world.log })
    const told = listen(lease)
    source.start(lease)
    await until('edges of the square', () => edges > 10)
    expect(lease.params.value).toMatchObject({ low: 20, high: 90, keep: false, width: 512 })
    await lease.updateParams('merge', { keep: true })
    await until('the input below them', () => (source.outputs.at(-1)?.value ?? 0) > 0)
    source.stop()
    expect(told.restarts).toEqual([])
    expect(told.errors).toEqual([])
  })

  test('start_app starts the server or prepares the models', () => {
    const folder = readdirSync(python.directory).find((name) => name.startsWith('python-live-effect'))!
    const program = join(python.directory, folder, 'bin', 'live-effect')
    const run = (env: Record<string, string>) =>
      execFileSync(program, {
        encoding: 'utf8',
        stdio: 'pipe',
        timeout: 60_000,
        env: { PATH: process.env.PATH, ...env },
      })
    // Settings passed on to the server are tested with any of its commands.
    const command = `${process.execPath} ${CLI} pipelines --json`
    const { pipelines } = JSON.parse(run({ MILLRACE: command, PIPELINE_DIR: join(python.directory, 'none') }))
    expect(pipelines).toContainEqual(
      expect.objectContaining({ name: 'live-effect', interpreter: expect.stringContaining(folder) }),
    )
    expect(run({ PREPARE_MODELS: '1', MILLRACE: 'false' })).toBe('')
    expect(() => run({ PATH: '/usr/bin:/bin' })).toThrow(/needs the Millrace server/)
  })
})
