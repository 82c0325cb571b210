import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { decodeNumbers } from '../helpers/probe-ts.ts'
import { record } from '../helpers/record.ts'
import { type Stage, setStage } from '../helpers/stage.ts'

let stage: Stage
beforeAll(async () => {
  stage = await setStage()
})
afterAll(() => stage?.[Symbol.asyncDispose]())

it.each([1, 2])('a source of %i frames a second: each one stays on screen until the next', async (fps) => {
  const name = `slow-${fps}`
  const clip = await stage.clip({ seconds: 24, width: 320, height: 240, fps, gop: 1 })
  await using publisher = await stage.publish(name, clip)
  await stage.waitForStatus(name, 'outputs', ({ inference }) => inference.fps > 0)
  const before = await stage.status(name)
  await using viewer = await record(`${stage.url}/out/${name}.ts`)
  await sleep(9000)
  const after = await stage.status(name)
  viewer.stop()
  const frames = await decodeNumbers(viewer.bytes())
  const numbers = [...new Set(frames.map(({ number }) => number))]
  expect(numbers.length).toBeGreaterThan(5 * fps)
  // None is missing between the first and the last, and the overlay, which has a frame rate of its own, is not there.
  expect(numbers).toEqual(numbers.map((_, index) => numbers[0]! + index))
  expect(frames.length).toBeLessThan(2.5 * numbers.length)
  expect(after.dropped).toEqual(before.dropped)
  await publisher.kill()
})
