import { pipelineContract, runPipeline, testFrames } from 'millrace/testing'
import { describe, expect, test } from 'vitest'
import { MyPipeline } from '../src/pipeline.ts'

describe('what the server expects of every pipeline', () => {
  const paramsModule = new URL('../src/params.ts', import.meta.url).href
  for (const { name, run } of pipelineContract(MyPipeline, { change: { strength: 0.2 }, paramsModule })) test(name, run)
})

test('strength 1 is the negative, 0 the frame as it came', async () => {
  const frames = testFrames(MyPipeline, 1)
  const negative = await runPipeline(MyPipeline, frames, { strength: 1 })
  expect(negative.outputs[0]?.data[0]).toBe(255 - frames[0]!.data[0]!)
  const same = await runPipeline(MyPipeline, frames, { strength: 0 })
  expect(same.outputs).toEqual(frames)
})
