import { frameBytes, type VideoFrame } from 'millrace/pipeline'
import { pipelineContract, runPipeline } from 'millrace/testing'
import { describe, expect, test } from 'vitest'
import { LineCounter } from '../src/pipeline.ts'

const [WIDTH, HEIGHT, SIDE] = [320, 240, 40]

type Counted = { boxes: { label: string; x: number; y: number; width: number; height: number }[] } & Record<
  'forward' | 'backward',
  number
>

/** A grey frame at `index` thirtieths of a second with bright squares, given by their upper left corners. */
function picture(index: number, squares: [x: number, y: number][]): VideoFrame {
  const data = new Uint8Array(frameBytes('yuv420p', WIDTH, HEIGHT)).fill(128)
  data.fill(60, 0, WIDTH * HEIGHT)
  for (const [x, y] of squares) {
    for (let row = Math.max(0, y); row < Math.min(HEIGHT, y + SIDE); row++) {
      data.fill(200, row * WIDTH + Math.max(0, x), row * WIDTH + Math.max(0, Math.min(WIDTH, x + SIDE)))
    }
  }
  return { data, format: 'yuv420p', width: WIDTH, height: HEIGHT, pts: index * 3000 }
}

/** A film of moving squares: `place` returns their positions in each frame. */
const film = (frames: number, place: (index: number) => [number, number][]) =>
  Array.from({ length: frames }, (_, index) => picture(index, index === 0 ? [] : place(index)))

async function count(frames: VideoFrame[], params = {}) {
  const { data, outputs, errors } = await runPipeline(LineCounter, frames, params)
  expect(errors).toEqual([])
  return { counted: data.map(({ value }) => value as Counted), outputs }
}

describe('what the server expects of every pipeline', () => {
  for (const { name, run } of pipelineContract(LineCounter, { change: { position: 0.3 } })) test(name, run)
})

test('what crosses is counted once, by its direction', async () => {
  const right = await count(film(60, (index) => [[index * 6 - 40, 100]]))
  expect(right.counted.at(-1)).toMatchObject({ forward: 1, backward: 0 })
  const both = await count(
    film(60, (index) => [
      [index * 6 - 40, 30],
      [320 - index * 6, 150],
    ]),
  )
  expect(both.counted.at(-1)).toMatchObject({ forward: 1, backward: 1 })
  const down = await count(
    film(60, (index) => [[100, index * 5 - 40]]),
    { line: 'horizontal' },
  )
  expect(down.counted.at(-1)).toMatchObject({ forward: 1, backward: 0 })
})

test('what turns round before the line, or trembles on it, is not counted', async () => {
  const turns = await count(film(60, (index) => [[index < 30 ? index * 4 : 240 - index * 4, 100]]))
  expect(turns.counted.at(-1)).toMatchObject({ forward: 0, backward: 0 })
  const trembles = await count(film(60, (index) => [[140 + (index % 2) * 8 - 4, 100]]))
  expect(trembles.counted.at(-1)).toMatchObject({ forward: 0, backward: 0 })
})

test('a box lies around the thing, and keeps its name', async () => {
  const { counted } = await count(film(40, (index) => [[index * 6, 100]]))
  const [box] = counted[20]!.boxes
  expect(box!.x).toBeGreaterThan(20 * 6 - 8)
  expect(box!.x).toBeLessThanOrEqual(20 * 6)
  expect(box!.x + box!.width).toBeGreaterThanOrEqual(20 * 6 + SIDE)
  expect(new Set(counted.slice(1).flatMap(({ boxes }) => boxes.map(({ label }) => label)))).toEqual(new Set(['1']))
})

test('what is small, or as bright as its background, does not count', async () => {
  expect(
    (
      await count(
        film(60, (index) => [[index * 6, 100]]),
        { min_size: 0.1 },
      )
    ).counted.at(-1)?.forward,
  ).toBe(0)
  expect(
    (
      await count(
        film(60, (index) => [[index * 6, 100]]),
        { sensitivity: 100 },
      )
    ).counted.at(-1)?.forward,
  ).toBe(1)
  const still = await count(film(30, () => []))
  expect(still.counted.every(({ boxes }) => boxes.length === 0)).toBe(true)
})

test('nothing is drawn when nothing shall be', async () => {
  const frames = film(3, () => [[100, 100]])
  expect((await count(frames, { draw: false })).outputs).toEqual(frames)
  const [first] = (await count(frames)).outputs
  expect(first!.data[120 * WIDTH + WIDTH / 2]).toBe(235)
})
