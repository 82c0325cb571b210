import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ContractOptions, openPipeline, pipelineContract, runPipeline, testFrames } from 'millrace/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { makeTable } from '../src/look-table.ts'
import { FilmLook } from '../src/pipeline.ts'

const modelDir = mkdtempSync(join(tmpdir(), 'film-look-'))
beforeAll(async () => {
  await makeTable(modelDir, 'warm')
  await makeTable(modelDir, 'noir')
})
afterAll(() => rmSync(modelDir, { recursive: true }))

describe('what the server expects of every pipeline', () => {
  const options: ContractOptions = {
    modelDir,
    change: { look: 'noir', strength: 0.5 },
    // Its table was not made.
    refused: { look: 'cold' },
    paramsModule: new URL('../src/params.ts', import.meta.url).href,
  }
  for (const { name, run } of pipelineContract(FilmLook, options)) test(name, run)
})

test('noir has no colour, strength 0 is the frame as it came', async () => {
  const frames = testFrames(FilmLook, 1, { width: 64, height: 64 })
  const noir = (await runPipeline(FilmLook, frames, { look: 'noir' }, { modelDir })).outputs[0]!
  for (let i = 0; i < noir.data.length; i += 3) {
    expect(noir.data[i]).toBe(noir.data[i + 1])
    expect(noir.data[i]).toBe(noir.data[i + 2])
  }
  expect((await runPipeline(FilmLook, frames, { strength: 0 }, { modelDir })).outputs).toEqual(frames)
})

test('strength changes between two frames, another film is loaded', async () => {
  await using tested = await openPipeline(FilmLook, {}, { modelDir })
  expect(await tested.update({ strength: 0.2 })).toBe('applied')
  expect(await tested.update({ look: 'noir' })).toBe('reloaded')
})

test('without its tables it says what to do', async () => {
  await expect(runPipeline(FilmLook, [])).rejects.toThrow('run "millrace prepare film-look"')
})
