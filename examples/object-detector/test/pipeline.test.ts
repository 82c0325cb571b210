import { setTimeout as sleep } from 'node:timers/promises'
import { frameBytes, type VideoFrame } from 'millrace/pipeline'
import { openPipeline, pipelineContract } from 'millrace/testing'
import { describe, expect, test } from 'vitest'
import { type Box, ObjectDetector } from '../src/pipeline.ts'

const [WIDTH, HEIGHT] = [640, 360]

/** A red octagon with a white rim before a sky, `index` seconds after the first frame. */
function stopSign(index = 0, centre = { x: 400, y: 150 }, radius = 80): VideoFrame {
  const data = new Uint8Array(frameBytes('rgb24', WIDTH, HEIGHT))
  const diagonal = (x: number, y: number) => (x + y) / Math.SQRT2
  for (let at = 0; at < WIDTH * HEIGHT; at++) {
    const [x, y] = [Math.abs((at % WIDTH) - centre.x), Math.abs(Math.floor(at / WIDTH) - centre.y)]
    const away = Math.max(x, y, diagonal(x, y)) / radius
    data.set(away < 0.92 ? [190, 20, 30] : away < 1 ? [255, 255, 255] : [140, 170, 200], at * 3)
  }
  return { data, format: 'rgb24', width: WIDTH, height: HEIGHT, pts: index * 90_000 }
}

/** Loading the model and one detection take a second or two; a busy machine needs longer. */
const LIMIT_MS = 60_000

/** The first detections, once there are any. */
async function told(tested: Awaited<ReturnType<typeof openPipeline>>) {
  for (const end = performance.now() + LIMIT_MS; tested.data.length === 0; ) {
    if (performance.now() > end) throw new Error('nothing was told')
    await sleep(50)
  }
  const [{ value, pts }] = tested.data as [{ value: { boxes: Box[] }; pts: number }]
  return { boxes: value.boxes, pts }
}

async function detect(frame: VideoFrame, params = {}) {
  await using tested = await openPipeline(ObjectDetector, params)
  await tested.put(frame)
  const first = await told(tested)
  expect(tested.errors).toEqual([])
  return first
}

describe('what the server expects of every pipeline', () => {
  for (const { name, run } of pipelineContract(ObjectDetector, { change: { confidence: 0.9 } }))
    test(name, run, LIMIT_MS)
})

test('a stop sign is one, is where it is, and is told with the time of its frame', { timeout: LIMIT_MS }, async () => {
  const { boxes, pts } = await detect(stopSign(7))
  expect(pts).toBe(7 * 90_000)
  expect(boxes.map(({ label }) => label)).toEqual(['stop sign'])
  const [{ x, y, width, height }] = boxes as [Box]
  for (const [is, wanted] of [
    [x, 320],
    [y, 70],
    [width, 160],
    [height, 160],
  ] as const) {
    expect(Math.abs(is - wanted)).toBeLessThan(25)
  }
})

test('what is not wanted, or not sure enough, is not told', { timeout: LIMIT_MS }, async () => {
  expect(await detect(stopSign(), { only: ['person', 'dog'] })).toEqual({ boxes: [], pts: 0 })
  expect(await detect(stopSign(), { confidence: 1 })).toEqual({ boxes: [], pts: 0 })
})

test('what was found is drawn into the frames that follow', { timeout: LIMIT_MS }, async () => {
  await using tested = await openPipeline(ObjectDetector, {})
  await tested.put(stopSign(0))
  await told(tested)
  await tested.put(stopSign(1))
  await tested.settled()
  const [first, second] = tested.outputs
  const yellow = (frame: VideoFrame) => {
    let count = 0
    for (let at = 0; at < frame.data.length; at += 3) {
      if (frame.data[at] === 255 && frame.data[at + 1] === 210 && frame.data[at + 2] === 0) count++
    }
    return count
  }
  expect(yellow(first!)).toBe(0)
  expect(yellow(second!)).toBeGreaterThan(500)
})
