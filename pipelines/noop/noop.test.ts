import { runPipeline, testFrames } from 'millrace/testing'
import { expect, test } from 'vitest'
import { Noop } from './index.ts'

test('every frame comes back as it went in', async () => {
  const frames = testFrames(Noop, 20)
  const { outputs, errors } = await runPipeline(Noop, frames)
  expect(errors).toEqual([])
  expect(outputs).toEqual(frames)
})
