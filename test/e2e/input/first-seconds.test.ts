import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { http } from '../../helpers/server/http.ts'
import { type Stage, setStage } from '../../helpers/server/stage.ts'

const NONE = { beforePipeline: 0, afterPipeline: 0, failed: 0, viewers: 0 }

let stage: Stage
beforeAll(async () => {
  stage = await setStage({ env: { WARM_PIPELINES: '0' } })
})
afterAll(() => stage?.[Symbol.asyncDispose]())

it('nothing is dropped in the first seconds of the test pattern with a cold pipeline', async () => {
  const { status } = await http('POST', `${stage.url}/test-pattern/first`)
  expect(status).toBeLessThan(300)
  await stage.waitForStatus('first', 'outputs', ({ inference }) => inference.fps > 0)
  // Ten seconds, including the start.
  await sleep(8000)
  const { dropped, ingest } = await stage.status('first')
  expect(dropped).toEqual(NONE)
  expect(ingest?.lost).toBe(0)
})

it('nor in those of an ffmpeg publisher', async () => {
  await http('DELETE', `${stage.url}/streams/first`)
  const clip = await stage.clip({ seconds: 10, width: 160, height: 120, fps: 30, audio: false })
  await using publisher = await stage.publish('ffmpeg', clip, { query: '?pipeline=effects' })
  await publisher.closed
  const { dropped, ingest } = await stage.waitForStatus('ffmpeg', 'the last frames', ({ publishing }) => !publishing)
  expect(dropped).toEqual(NONE)
  expect(ingest?.lost ?? 0).toBe(0)
})
