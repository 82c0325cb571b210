import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { probePackets } from '../../helpers/media/probe-ts.ts'
import { record } from '../../helpers/media/record.ts'
import { httpJson } from '../../helpers/server/http.ts'
import { type Stage, setStage } from '../../helpers/server/stage.ts'

let stage: Stage
beforeAll(async () => {
  const fixtures = fileURLToPath(new URL('../../fixtures/pipelines', import.meta.url))
  stage = await setStage({ env: { PIPELINE_DIR: fixtures, WARM_PIPELINES: '0' } })
  const clip = await stage.clip({ seconds: 60, width: 320, height: 240, fps: 30, kbps: 300 })
  await stage.publish('demo', clip, { query: '?pipeline=chooses-output' })
})
afterAll(() => stage?.[Symbol.asyncDispose]())

const STEPS = [
  { output_width: 320, output_height: 180 },
  { output_format: 'rgb24' },
  { output_width: 161, output_height: 121, output_format: 'rgba' },
  { output_width: 8, output_height: 5 },
  { output_width: 640, output_height: 360, output_format: 'gray' },
]
const SENT = [
  [320, 180],
  [320, 180],
  [160, 120],
  [16, 16],
  [640, 360],
]

it('outputs may change resolution and pixel format at any time, odd and tiny ones included, without interrupting viewers', async () => {
  const { processes } = await stage.waitForStatus('demo', 'outputs', ({ egress }) => egress.width === 160)
  await using viewer = await record(`${stage.url}/out/demo.ts`)
  for (const [index, params] of STEPS.entries()) {
    const { status } = await httpJson('PATCH', `${stage.url}/streams/demo/params`, { body: params })
    expect(status).toBe(200)
    const [width, height] = SENT[index]!
    const fits = ({ egress }: { egress: { width: number; height: number } }) =>
      egress.width === width && egress.height === height
    await stage.waitForStatus('demo', `frames of ${width}x${height}`, fits)
    const seen = viewer.bytes().length
    await stage.waitForStatus('demo', 'frames for the viewer', () => viewer.bytes().length > seen + 2000)
  }
  await sleep(500)
  const now = await stage.status('demo')
  expect(now.publishing).toBe(true)
  expect(now.inference).toMatchObject({ restarts: 0, lastError: null })
  expect(now.processes.pipeline).toBe(processes.pipeline)
  viewer.stop()
  const [video] = await probePackets(viewer.bytes())
  const times = video!.packets.map(({ pts }) => pts)
  expect(times.every((pts, index) => index === 0 || pts > times[index - 1]!)).toBe(true)
  expect(video!.packets.filter(({ key }) => key).length).toBeGreaterThanOrEqual(STEPS.length)
})

it('reports what was altered', async () => {
  const events = await record(`${stage.url}/streams/demo/events?lastEventId=0`)
  await stage.waitForStatus('demo', 'the events', () => events.bytes().includes('8x5 are sent as 16x16'))
  events.stop()
  expect(events.bytes().toString()).toContain('frames of 161x121 are sent as 160x120')
})

it('params width and height change on a running stream without interrupting viewers', async () => {
  const clip = await stage.clip({ seconds: 60, width: 320, height: 240, fps: 30, kbps: 300 })
  await stage.publish('sized', clip, { query: '?pipeline=noop' })
  const { processes } = await stage.waitForStatus('sized', 'outputs', ({ egress }) => egress.width === 320)
  await using viewer = await record(`${stage.url}/out/sized.ts`)
  const wanted = [
    [{ width: 192, height: 128 }, 192],
    [{ width: 480, height: 360 }, 480],
    [{ width: null, height: null }, 320],
  ] as const
  for (const [body, width] of wanted) {
    const { status } = await httpJson('PATCH', `${stage.url}/streams/sized/params`, { body })
    expect(status).toBe(200)
    await stage.waitForStatus('sized', `frames ${width} wide`, ({ egress }) => egress.width === width)
    const seen = viewer.bytes().length
    await stage.waitForStatus('sized', 'frames for the viewer', () => viewer.bytes().length > seen + 2000)
  }
  const now = await stage.status('sized')
  expect(now.publishing).toBe(true)
  expect(now.inference).toMatchObject({ restarts: 0, lastError: null })
  expect(now.processes.pipeline).toBe(processes.pipeline)
  viewer.stop()
})
