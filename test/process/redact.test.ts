import { openPipeline, pipelineContract, runPipeline } from 'millrace/testing'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { type Box, coveredBy } from '../../pipelines/redact/boxes.ts'
import { Redact } from '../../pipelines/redact/index.ts'
import { TextDetector } from '../../pipelines/redact/text-detector.ts'
import type { VideoFrame } from '../../src/core/media/frame.ts'
import { textFrame, WORDS } from '../helpers/media/text-frames.ts'

let detector: TextDetector
const log = { info() {}, debug() {}, warn() {}, error() {}, child: () => log }

beforeAll(async () => {
  const signal = new AbortController().signal
  detector = await TextDetector.open('cpu', { name: 'judge', modelDir: '/tmp', log, signal })
})
afterAll(() => detector.close())

/** Text detection at a higher resolution than that of the pipeline. */
const read = (frame: VideoFrame): Promise<Box[]> => detector.find(frame, { size: 960, threshold: 0.3, padding: 0 })

/** Share of the words in the inputs that are still detected in the outputs with the same timestamps. */
async function recall(inputs: VideoFrame[], outputs: VideoFrame[]): Promise<{ words: number; recall: number }> {
  let [words, found] = [0, 0]
  for (const output of outputs) {
    const before = await read(inputs.find(({ pts }) => pts === output.pts)!)
    const after = await read(output)
    words += before.length
    found += before.filter((box) => coveredBy(box, after) > 0.2).length
  }
  return { words, recall: found / words }
}

const clip = (width: number, height: number, count: number, step = 2) => {
  const scale = Math.min(width / 1280, height / 720)
  const words = WORDS.map((word) => ({
    ...word,
    x: word.x * scale,
    y: word.y * scale,
    size: Math.round(word.size * scale),
  }))
  return Array.from({ length: count }, (_, i) => textFrame(width, height, i * step, words))
}

describe('the contract', () => {
  const options = { change: { blur: 2, threshold: 0.5 }, frames: 3, settleMs: 20 }
  const paramsModule = new URL('../../pipelines/redact/params.ts', import.meta.url).href
  for (const { name, run } of pipelineContract(Redact, { ...options, paramsModule })) test(name, run)
})

describe('text is no longer detected', () => {
  test.each([
    [1280, 720, {}],
    [1280, 720, { hold_ms: 0, padding: 0.1 }],
    [640, 480, {}],
    [720, 1280, { blur: 2, detect_size: 960 }],
    [961, 541, { detect_size: 960 }],
  ])('%i x %i %j', async (width, height, params) => {
    const inputs = clip(width, height, 4)
    const { outputs, errors } = await runPipeline(Redact, inputs, params, { settleMs: 20 })
    expect(errors).toEqual([])
    expect(outputs).toHaveLength(4)
    const result = await recall(inputs, outputs)
    expect(result.words).toBeGreaterThan(14)
    expect(result.recall).toBeLessThan(0.05)
  })
})

describe('between two detections', () => {
  const looks = vi.spyOn(TextDetector.prototype, 'find')
  afterAll(() => looks.mockRestore())
  /** Detections of the pipeline; the first one warms up the model. */
  async function redact(inputs: VideoFrame[], params: Record<string, unknown>) {
    looks.mockClear()
    const { outputs, errors } = await runPipeline(Redact, inputs, params, { settleMs: 20 })
    expect(errors).toEqual([])
    expect(outputs).toHaveLength(inputs.length)
    const count = looks.mock.calls.length - 1
    return { outputs, looks: count, ...(await recall(inputs, outputs)) }
  }

  test.each([
    [1, 6],
    [2, 3],
    [3, 2],
  ])('moving text is followed, with detect_every %i', async (detect_every, count) => {
    const result = await redact(clip(1280, 720, 6, 1), { detect_every, hold_ms: 0 })
    expect(result.looks).toBe(count)
    expect(result.words).toBeGreaterThan(20)
    expect(result.recall).toBeLessThan(0.05)
  })

  test('new text and scene changes are detected at once', async () => {
    const [first, second] = clip(1280, 720, 2, 1)
    const blank = textFrame(1280, 720, 0, [])
    const inputs = [blank, first!, second!, blank, second!].map((frame, i) => ({ ...frame, pts: i * 3000 }))
    const result = await redact(inputs, { detect_every: 10, hold_ms: 0 })
    expect(result.words).toBeGreaterThan(10)
    expect(result.recall).toBeLessThan(0.05)
  })
})

test('a frame without text is unchanged', async () => {
  const inputs = [textFrame(640, 360, 0, [])]
  const { outputs } = await runPipeline(Redact, inputs, {}, { settleMs: 20 })
  expect(outputs).toEqual(inputs)
})

test('params change the redaction between two frames', async () => {
  await using tested = await openPipeline(Redact, {}, { settleMs: 20 })
  const [frame] = clip(640, 360, 1)
  for (const change of [{}, { padding: 1 }, { detect_size: 320 }]) {
    expect(await tested.update(change)).toBe('applied')
    await tested.put(frame!)
  }
  await tested.settled()
  const changed = tested.outputs.map(({ data }) => data.filter((value, at) => value !== frame!.data[at]).length)
  expect(changed[0]).toBeGreaterThan(1000)
  expect(changed[1]).toBeGreaterThan(changed[0]! * 1.5)
  expect(tested.errors).toEqual([])
})

test('a new stream does not inherit the state of the previous one', async () => {
  await using tested = await openPipeline(Redact, { hold_ms: 5000 }, { settleMs: 20 })
  const blank = textFrame(640, 360, 1, [])
  await tested.put({ ...clip(640, 360, 1)[0]!, pts: 6000 })
  await tested.put({ ...blank, pts: 9000 })
  // A new stream restarts its clock.
  await tested.put({ ...blank, pts: 0 })
  await tested.settled()
  expect(tested.outputs.map(({ data }) => Buffer.compare(data, blank.data) === 0)).toEqual([false, false, true])
})

test('text positions are reported in pixels of the frame', async () => {
  const inputs = clip(1280, 720, 2)
  const { data } = await runPipeline(Redact, inputs, {}, { settleMs: 20 })
  expect(data.map(({ pts }) => pts)).toEqual(inputs.map(({ pts }) => pts))
  for (const [index, { value }] of data.entries()) {
    const said = value as {
      width: number
      height: number
      boxes: { x: number; y: number; width: number; height: number; label: string }[]
    }
    expect(said).toMatchObject({ width: 1280, height: 720 })
    const boxes = said.boxes.map(({ x, y, width, height }) => ({
      left: x,
      top: y,
      right: x + width,
      bottom: y + height,
    }))
    const found = await read(inputs[index]!)
    expect(found.length).toBeGreaterThan(0)
    for (const box of found) expect(coveredBy(box, boxes)).toBeGreaterThan(0.8)
    expect(said.boxes.every(({ label }) => label === 'text')).toBe(true)
  }
})
