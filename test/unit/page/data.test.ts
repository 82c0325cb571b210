import { describe, expect, test } from 'vitest'
import { pageModule } from './page-module.ts'

const { DataTimeline } = await pageModule('data/timeline.js')
const { readShapes } = await pageModule('data/shapes.js')

const FRAME = 3000

describe('the data shown with a frame', () => {
  const timeline = (...messages: [rtpTimestamp: number, data: unknown][]) => {
    const made = new DataTimeline()
    for (const [rtpTimestamp, data] of messages) made.push({ rtpTimestamp, data })
    return made
  }

  test('is all data of this frame and none of the next', () => {
    const made = timeline([FRAME, 'a'], [2 * FRAME, 'b'], [2 * FRAME, 'c'], [3 * FRAME, 'd'])
    expect(made.at(2 * FRAME, 1000)).toEqual(['b', 'c'])
    expect(made.at(FRAME - 1, 1000)).toEqual([])
  })

  test('falls back to the last data before it, for a while', () => {
    const made = timeline([0, 'a'], [FRAME, 'b'])
    expect(made.at(5 * FRAME, 1000)).toEqual(['b'])
    expect(made.at(FRAME + 90_000, 1000)).toEqual(['b'])
    expect(made.at(FRAME + 90_001, 1000)).toEqual([])
    expect(made.at(5 * FRAME, 1000, (data: unknown) => data === 'a')).toEqual(['a'])
  })

  test('works across the timestamp wrap, in any order of arrival', () => {
    const made = timeline([2 ** 32 - FRAME, 'a'], [2 * FRAME, 'c'], [0, 'b'])
    expect(made.at(2 ** 32 - FRAME, 1000)).toEqual(['a'])
    expect(made.at(FRAME, 1000)).toEqual(['b'])
    expect(made.newest).toBe(2 * FRAME)
    made.forget(2 * FRAME, 100)
    expect(made.at(FRAME, 1000)).toEqual(['b'])
    made.forget(2 * FRAME, 10)
    expect(made.at(FRAME, 1000)).toEqual([])
    made.forget(200_000, 1000)
    expect(made.newest).toBeUndefined()
  })

  test('is kept for the newest frames only, however much arrives', () => {
    const made = timeline()
    for (let number = 0; number < 5000; number++) made.push({ rtpTimestamp: number, data: number })
    expect(made.at(4000, 1000)).toEqual([])
    expect(made.at(4999, 1000)).toEqual([4999])
  })
})

describe('shapes', () => {
  const SIZE = { width: 640, height: 360 }

  test('boxes and polygons have their points and labels', () => {
    const data = {
      boxes: [{ x: 1, y: 2, width: 10, height: 20, label: 'cat', score: 0.876 }],
      polygons: [
        [
          [0, 0],
          [1, 2],
        ],
        {
          points: [
            [5.5, 6, 0.3],
            [7, 8],
            [9, 9],
          ],
          label: 7,
        },
      ],
      text: 'two',
    }
    expect(readShapes(data, SIZE)).toEqual({
      ...SIZE,
      shapes: [
        {
          points: [
            [1, 2],
            [11, 2],
            [11, 22],
            [1, 22],
          ],
          label: 'cat 88 %',
        },
        { points: data.polygons[0], label: '' },
        {
          points: [
            [5.5, 6, 0.3],
            [7, 8],
            [9, 9],
          ],
          label: '7',
        },
      ],
      text: 'two',
    })
    expect(readShapes({ width: 320, height: 180, boxes: [] }, SIZE)).toEqual({
      width: 320,
      height: 180,
      shapes: [],
      text: '',
    })
    expect(readShapes('words', SIZE)).toEqual({ ...SIZE, shapes: [], text: 'words' })
  })

  test.each([
    null,
    7,
    [],
    { boxes: 'x', polygons: { a: 1 }, text: 5 },
    { boxes: [null, 1, [], {}, { x: 1, y: 1, width: 'a', height: 1 }, { x: 1, y: 1, width: -1, height: 1 }] },
    {
      polygons: [
        null,
        1,
        [],
        [[1, 2]],
        [[1, 2], [3]],
        { points: 'x' },
        {
          points: [
            ['a', 'b'],
            [1, 2],
          ],
        },
      ],
    },
    { width: -1, height: 'x' },
  ])('%j draws nothing', (data) => {
    expect(readShapes(data, SIZE)).toEqual({ ...SIZE, shapes: [], text: '' })
  })

  test('as many as can be drawn', () => {
    const box = { x: 0, y: 0, width: 1, height: 1 }
    const { shapes, text } = readShapes({ boxes: Array(10_000).fill(box), text: 'x'.repeat(10_000) }, SIZE)
    expect([shapes.length, text.length]).toEqual([500, 2000])
  })
})
