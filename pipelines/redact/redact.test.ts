import { planes, type VideoFrame } from 'millrace/pipeline'
import { testFrame } from 'millrace/testing'
import { describe, expect, test } from 'vitest'
import { blurBoxes } from './blur.ts'
import { type Box, coveredBy, findBoxes, joined, textBox } from './boxes.ts'
import { copyOf, followed } from './changes.ts'
import { HeldBoxes } from './held-boxes.ts'

const box = (left: number, top: number, right: number, bottom: number): Box => ({ left, top, right, bottom })

describe('findBoxes', () => {
  const find = (...rows: string[]) =>
    findBoxes(
      [...rows.join('')].map((c) => (c === '#' ? 0.9 : c === '+' ? 0.4 : 0)),
      rows[0]!.length,
      rows.length,
      0.3,
    )

  test.each<[string, string[], Box[]]>([
    ['nothing', ['....', '....'], []],
    ['one point', ['....', '..#.'], [box(2, 1, 3, 2)]],
    ['two groups', ['##..#', '.....', '...+#'], [box(0, 0, 2, 1), box(4, 0, 5, 1), box(3, 2, 5, 3)]],
    ['corners that touch are one', ['#..', '.#.', '..#'], [box(0, 0, 3, 3)]],
    ['everything', ['##', '##'], [box(0, 0, 2, 2)]],
    ['a hook', ['#.#', '#.#', '###'], [box(0, 0, 3, 3)]],
  ])('%s', (_, rows, expected) => expect(find(...rows)).toEqual(expected))

  test('a map full of text does not overflow the stack', () => {
    expect(findBoxes(new Float32Array(1920 * 1088).fill(1), 1920, 1088, 0.3)).toEqual([box(0, 0, 1920, 1088)])
  })
})

describe('textBox', () => {
  test('grows what the map shows shrunk, on even pixels, within the frame', () => {
    const map = { width: 320, height: 192 }
    const frame = { width: 1280, height: 768 }
    const line = textBox(box(100, 50, 200, 60), map, frame, 0)
    // Offset 100 x 10 x 1.5 / 220 = 6.8 points of four pixels each.
    expect(line).toEqual(box(372, 172, 828, 268))
    const padded = textBox(box(100, 50, 200, 60), map, frame, 1)
    expect(padded.top).toBeLessThan(line.top - 90)
    expect(textBox(box(0, 0, 320, 192), map, frame, 2)).toEqual(box(0, 0, 1280, 768))
  })

  test('odd sizes keep their last pixel', () => {
    const whole = textBox(box(0, 0, 32, 32), { width: 32, height: 32 }, { width: 321, height: 241 }, 0)
    expect(whole).toEqual(box(0, 0, 321, 241))
  })
})

describe('boxes together', () => {
  test('coveredBy', () => {
    expect(coveredBy(box(0, 0, 10, 10), [])).toBe(0)
    expect(coveredBy(box(0, 0, 10, 10), [box(5, 0, 20, 10)])).toBe(0.5)
    expect(coveredBy(box(0, 0, 10, 10), [box(-5, -5, 20, 20), box(0, 0, 10, 10)])).toBe(1)
  })

  test('joined: what overlaps becomes one, and so on', () => {
    expect(joined([box(0, 0, 2, 2), box(2, 0, 4, 2)])).toHaveLength(2)
    expect(joined([box(0, 0, 3, 3), box(5, 5, 8, 8), box(2, 2, 6, 6)])).toEqual([box(0, 0, 8, 8)])
    expect(joined([box(0, 0, 2, 2), box(9, 0, 11, 2), box(0, 5, 20, 6), box(1, 1, 10, 5.5)])).toEqual([
      box(0, 0, 20, 6),
    ])
  })

  test('held: a place stays for a while after text was last seen there', () => {
    const held = new HeldBoxes()
    const [a, b] = [box(0, 0, 10, 10), box(50, 50, 60, 60)]
    const ms = (n: number) => n * 90
    expect(held.add([a, b], ms(0), 100)).toEqual([a, b])
    expect(held.add([a], ms(50), 100)).toEqual([a, b])
    expect(held.add([a], ms(101), 100)).toEqual([a])
    const moved = box(1, 0, 11, 10)
    expect(held.add([moved], ms(120), 100)).toEqual([moved])
    expect(held.add([], ms(220), 100)).toEqual([moved])
    expect(held.add([], ms(221), 100)).toEqual([])
    held.add([a], ms(300), 100)
    expect(held.add([], ms(200), 100), 'time went back').toEqual([])
  })
})

describe('followed', () => {
  const [width, height] = [331, 203]
  const grey = (): VideoFrame => ({ ...testFrame({ width, height }), data: new Uint8Array(frameBytes).fill(120) })
  const frameBytes = testFrame({ width, height }).data.length
  /** With a light rectangle in it. */
  const lit = ({ left, top, right, bottom }: Box, frame = grey()) => {
    for (let y = top; y < bottom; y++) frame.data.fill(200, y * width + left, y * width + right)
    return frame
  }
  const inside = (inner: Box, outer: Box) => coveredBy(inner, [outer]) === 1
  const [known, line] = [box(60, 60, 140, 84), box(66, 66, 134, 78)]

  test('what did not change, or by noise alone, keeps its boxes', () => {
    const before = lit(line)
    const now = copyOf(before)
    for (let at = 0; at < now.data.length; at++) now.data[at]! += (at % 7) - 3
    expect(followed([known], before, now)).toEqual([known])
    expect(followed([], before, now)).toEqual([])
  })

  test.each([
    ['right', 20, 0],
    ['left', -20, 0],
    ['up', 0, -20],
    ['down and right', 18, 14],
  ])('text that moved %s is in its box, which loses nothing', (_, dx, dy) => {
    const moved = box(line.left + dx, line.top + dy, line.right + dx, line.bottom + dy)
    const boxes = followed([known], lit(line), lit(moved))!
    expect(boxes).toHaveLength(1)
    expect(inside(moved, boxes[0]!)).toBe(true)
    expect(inside(known, boxes[0]!)).toBe(true)
  })

  test.each<[string, VideoFrame, VideoFrame]>([
    ['something new elsewhere', lit(line), lit(box(250, 150, 290, 160), lit(line))],
    ['something new where nothing was', grey(), lit(box(0, 199, 20, 203))],
    ['a line that grew too far', lit(line), lit(box(66, 66, 300, 78))],
    ['another scene', lit(line), lit(box(0, 0, width, height))],
    ['another resolution', lit(line), testFrame({ width: 64, height: 64 })],
  ])('%s is for the model to judge', (_, before, now) => expect(followed([known], before, now)).toBeUndefined())

  test('so are letters that differ in colour alone', () => {
    const now = grey()
    const { u } = planes(now)
    for (let y = 70; y < 78; y++) u.fill(180, y * 166 + 100, y * 166 + 120)
    expect(followed([known], grey(), now)).toBeUndefined()
  })

  test('whatever changes, no box loses anything and no change is left outside', () => {
    let judged = 0
    for (let seed = 1; seed < 300; seed++) {
      const random = (limit: number, salt: number) => Math.floor(Math.abs(Math.sin(seed * 97 + salt) * 1e4) % limit)
      const some = (salt: number) => {
        const [left, top] = [random(width - 20, salt), random(height - 20, salt + 1)]
        return box(
          left,
          top,
          Math.min(width, left + 8 + random(90, salt + 2)),
          Math.min(height, top + 8 + random(40, salt + 3)),
        )
      }
      const [before, boxes] = [lit(line), [known, some(10)]]
      const change =
        seed % 2
          ? box(line.left + random(60, 4), line.top + random(40, 5), line.right + 30, line.bottom + 30)
          : some(20)
      const now = lit(change, copyOf(before))
      const result = followed(boxes, before, now)
      if (!result) continue
      judged++
      expect(result.every((larger, i) => inside(boxes[i]!, larger))).toBe(true)
      for (let at = 0; at < width * height; at++) {
        if (before.data[at] === now.data[at]) continue
        const [x, y] = [at % width, Math.floor(at / width)]
        if (!result.some((one) => x >= one.left - 16 && x < one.right + 16 && y >= one.top - 16 && y < one.bottom + 16))
          expect.fail(`the change at ${x}, ${y} is outside`)
      }
    }
    expect(judged).toBeGreaterThan(30)
  })
})

describe('blurBoxes', () => {
  test('leaves a frame without boxes, and the one that came, as they are', () => {
    const frame = testFrame()
    const before = frame.data.slice()
    expect(blurBoxes(frame, [], 1)).toBe(frame)
    expect(blurBoxes(frame, [box(0, 0, 320, 240)], 1).data).not.toEqual(before)
    expect(frame.data).toEqual(before)
  })

  test('nothing outside of a box and its margin changes', () => {
    const frame = testFrame({ width: 128, height: 96 })
    const { y } = planes(blurBoxes(frame, [box(32, 32, 96, 64)], 1))
    const changed = [...y.keys()].filter((at) => y[at] !== frame.data[at])
    const columns = changed.map((at) => at % 128)
    const rows = changed.map((at) => Math.floor(at / 128))
    expect([Math.min(...columns), Math.max(...columns)]).toEqual([24, 103])
    expect([Math.min(...rows), Math.max(...rows)]).toEqual([24, 71])
  })

  test('an even surface stays even', () => {
    const frame = testFrame({ width: 64, height: 64 })
    frame.data.fill(77)
    expect(new Set(blurBoxes(frame, [box(0, 0, 64, 20), box(10, 10, 60, 64)], 0.5).data)).toEqual(new Set([77]))
  })

  test('stripes as fine as letters vanish, and more so with more reach', () => {
    const frame = testFrame({ width: 256, height: 64 })
    frame.data.forEach((_, at) => {
      frame.data[at] = at % 8 < 4 ? 20 : 230
    })
    const contrast = (reach: number) => {
      const { y } = planes(blurBoxes(frame, [box(16, 16, 240, 48)], reach))
      const inside = y.subarray(32 * 256 + 32, 32 * 256 + 224)
      return Math.max(...inside) - Math.min(...inside)
    }
    expect(contrast(1)).toBeLessThan(20)
    expect(contrast(4)).toBeLessThanOrEqual(contrast(1))
  })

  test.each([
    [1, 1],
    [2, 2],
    [33, 65],
    [65, 33],
  ])('frames of %i x %i, boxes at every edge', (width, height) => {
    const frame = testFrame({ width, height })
    const boxes = [box(0, 0, width, 1), box(0, 0, 1, height), box(width - 1, height - 1, width, height)]
    for (const reach of [0.25, 1, 4]) {
      const output = blurBoxes(frame, boxes, reach)
      expect(output).toMatchObject({ width, height, format: 'yuv420p', pts: frame.pts })
      expect(output.data.length).toBe(frame.data.length)
    }
  })
})
