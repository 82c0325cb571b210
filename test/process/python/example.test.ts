import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { discoverPipelines } from '../../../src/pipeline/catalog/catalog.ts'
import { millrace } from '../../helpers/package/python.ts'
import { play, until } from '../pipeline/support/hosts.ts'

const EXAMPLE = fileURLToPath(new URL('../../../examples/python-pipeline', import.meta.url))

// Two hundred megabytes of wheels, so only with EXAMPLES=1.
describe.runIf(process.env.EXAMPLES)('the example in Python', () => {
  let root: string
  beforeAll(() => {
    root = mkdtempSync(join(tmpdir(), 'millrace-example-'))
    cpSync(EXAMPLE, join(root, 'source'), { recursive: true })
    millrace(root, 'install', `pip:${join(root, 'source')}`)
  }, 400_000)
  afterAll(() => rmSync(root, { recursive: true, force: true }))

  test('replaces the background by a green wall', async () => {
    const catalog = await discoverPipelines({ pipelineDir: root })
    await using stage = await play('portrait-green', { catalog, defaultPipeline: 'portrait-green' })
    expect((await stage.pool.describe('portrait')).description).toBe('Blurs, or replaces, what is behind people.')
    await until('the wall', () => stage.source.outputs.at(-1)?.value === 0x00, 60_000)
    await stage.lease.updateParams('merge', { colour: '#c80000' })
    await until('a red wall', () => Math.abs((stage.source.outputs.at(-1)?.value ?? 0) - 0xc8) < 3)
    await expect(stage.lease.updateParams('merge', { colour: 'red' })).rejects.toMatchObject({ code: 'invalid-params' })
    expect(stage.told.restarts).toEqual([])
    expect(stage.told.errors).toEqual([])
  })
})
