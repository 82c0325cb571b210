import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { probePackets } from '../../helpers/media/probe-ts.ts'
import { record } from '../../helpers/media/record.ts'
import { makeSegments } from '../../helpers/media/segments.ts'
import { type Stage, setStage } from '../../helpers/server/stage.ts'

let stage: Stage
beforeAll(async () => {
  stage = await setStage({ env: { WARM_PIPELINES: '1' } })
})
afterAll(() => stage?.[Symbol.asyncDispose]())

const FPS = 30
const SECONDS = 0.4
const SIZES = ['640x360', '480x270', '320x180']
const COUNT = 30

it('a resize, 2.5 times per second, costs at most three frames', async () => {
  const file = join(stage.folder, 'resizes.ts')
  const segments = Array.from({ length: COUNT }, (_, index) => [
    ...['-f', 'lavfi', '-i', `testsrc2=s=${SIZES[index % SIZES.length]}:r=${FPS}`],
    ...['-c:v', 'libx264', '-preset', 'ultrafast', '-bf', '0', '-g', '600'],
  ])
  await makeSegments(file, SECONDS, segments)
  await using publisher = await stage.publish('resizes', file, { query: '?pipeline=noop' })
  await stage.waitForStatus('resizes', 'outputs', ({ inference }) => inference.fps > 0)
  const before = await stage.status('resizes')
  await using viewer = await record(`${stage.url}/out/resizes.ts`)
  await publisher.closed
  const after = await stage.waitForStatus('resizes', 'its end', ({ publishing }) => !publishing)
  viewer.stop()
  const [video] = await probePackets(viewer.bytes())
  const keyframes = video!.packets.filter(({ key }) => key).length
  expect(keyframes).toBeGreaterThan(COUNT / 3)
  const times = video!.packets.map(({ pts }) => pts)
  // Missing frames at each resize, between two received ones.
  const missing = times.slice(1).map((pts, index) => Math.round(((pts - times[index]!) * FPS) / 90_000) - 1)
  expect(missing.filter((frames) => frames > 3)).toEqual([])
  // A single decoder was used for all.
  expect(after.ingest?.lost ?? 0).toBe(0)
  expect(before.inference.restarts).toBe(0)
}, 120_000)
