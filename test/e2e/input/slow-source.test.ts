import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { decodeNumbers } from '../../helpers/media/probe-ts.ts'
import { record } from '../../helpers/media/record.ts'
import { type Stage, setStage } from '../../helpers/server/stage.ts'

let stage: Stage
beforeAll(async () => {
  stage = await setStage()
})
afterAll(() => stage?.[Symbol.asyncDispose]())

it.each([1, 2])('a source of %i frames per second: each one stays on screen until the next', async (fps) => {
  const name = `slow-${fps}`
  const clip = await stage.clip({ seconds: 24, width: 320, height: 240, fps, gop: 1 })
  await using publisher = await stage.publish(name, clip)
  const before = await stage.waitForStatus(
    name,
    'outputs',
    ({ inference, state }) => inference.fps > 0 && state === 'ONLINE',
  )
  await using viewer = await record(`${stage.url}/out/${name}.ts`)
  await sleep(9000)
  const after = await stage.status(name)
  viewer.stop()
  const frames = await decodeNumbers(viewer.bytes())
  const numbers = [...new Set(frames.map(({ number }) => number))]
  expect(numbers.length).toBeGreaterThan(5 * fps)
  // No frame is missing between the first and the last, and no overlay, which has its own frame rate, was shown.
  expect(numbers).toEqual(numbers.map((_, index) => numbers[0]! + index))
  expect(frames.length).toBeLessThan(2.5 * numbers.length)
  expect(after.dropped).toEqual(before.dropped)
  // A low frame rate by itself is not degraded.
  expect([after.state, after.stateSince]).toEqual(['ONLINE', before.stateSince])
  await publisher.kill()
})
