import { execFileSync } from 'node:child_process'
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { discoverPipelines } from '../../../src/pipeline/catalog/catalog.ts'
import { installPythonFixtures, type PythonFolder } from '../../helpers/package/python.ts'
import { play, type Stage, until } from '../pipeline/support/hosts.ts'

/** A virtual environment with torch, several gigabytes: `python3 -m venv FOLDER && FOLDER/bin/pip install torch`. */
const TORCH = process.env.TORCH_VENV

describe.runIf(TORCH)('with torch', () => {
  let python: PythonFolder
  beforeAll(async () => {
    python = await installPythonFixtures('tensors')
    const [environment] = readdirSync(python.directory).filter((name) => name.startsWith('python-'))
    const ask = 'import sysconfig; print(sysconfig.get_path("purelib"))'
    const packagesOf = (folder: string) =>
      execFileSync(join(folder, 'bin/python'), ['-c', ask], { encoding: 'utf8' }).trim()
    // Its packages are visible in the environment of the pipelines.
    writeFileSync(join(packagesOf(join(python.directory, environment!)), 'torch.pth'), `${packagesOf(TORCH!)}\n`)
  }, 400_000)
  afterAll(() => python?.[Symbol.dispose]())

  async function start(pipeline: string, params = {}): Promise<Stage> {
    return play(pipeline, {
      catalog: await discoverPipelines({ pipelineDir: python.directory }),
      params,
      defaultPipeline: pipeline,
    })
  }

  test('a tensor and its clone keep the same bytes, and torch is loaded before the first frame', async () => {
    await using stage = await start('tensor-noop')
    await until('every byte', () => new Set(stage.source.outputs.map(({ value }) => value)).size === 251, 120_000)
    for (const { pts, value } of stage.source.outputs) expect(value).toBe((pts / 3000) % 251)
    expect(stage.told.lines.join('\n')).toContain('torch there, threads 1')
    expect(stage.told.restarts).toEqual([])
    expect(stage.told.errors).toEqual([])
  })

  test('numbers out of range are clamped, and rounded to the nearest byte', async () => {
    await using stage = await start('tensor-odd', { value: '1.01' })
    for (const [value, byte] of [
      ['1.01', 255],
      ['-0.5', 0],
      ['nan', 0],
      ['inf', 255],
      ['-inf', 0],
      ['0.4999', 127],
      ['0.0023', 1],
    ] as const) {
      await stage.lease.updateParams('merge', { value })
      const { length } = stage.source.outputs
      await until(
        `${value} as ${byte}`,
        () => stage.source.outputs.slice(length + 2).some((one) => one.value === byte),
        60_000,
      )
      expect(stage.source.outputs.at(-1)!.value).toBe(byte)
    }
    for (const value of ['half', 'strided']) {
      await stage.lease.updateParams('merge', { value })
      const { length } = stage.source.outputs
      await until(value, () => stage.source.outputs.length > length + 5)
      const { pts, value: byte } = stage.source.outputs.at(-1)!
      expect(Math.abs(byte - ((pts / 3000) % 251))).toBeLessThanOrEqual(1)
    }
    expect(stage.told.errors).toEqual([])
  })

  test.each(['shape', 'batch', 'channels first'])('a tensor of another shape is reported: %s', async (value) => {
    await using stage = await start('tensor-odd', { value })
    await until('the error', () => stage.told.errors.length > 0, 60_000)
    expect(stage.told.errors[0]).toMatchObject({
      during: 'get_processed_video_frame',
      message: expect.stringContaining('must be (1, height, width, 3)'),
    })
    await stage.lease.updateParams('merge', { value: '1' })
    await until('outputs', () => stage.source.outputs.length > 5)
    expect(stage.told.restarts).toEqual([])
  })
})
