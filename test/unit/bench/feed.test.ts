import { expect, test } from 'vitest'
import { inRealTime, Window } from '../../../bench/lib/media/feed.ts'

test('a window keeps its number of frames in flight, also when one of them is lost', () => {
  const sent: number[] = []
  const window = new Window((number) => sent.push(number), { first: 10, size: 3 })
  window.start()
  expect(sent).toEqual([10, 11, 12])
  window.back(10)
  expect(sent.at(-1)).toBe(13)
  window.back(13)
  expect(sent).toEqual([10, 11, 12, 13, 14, 15, 16])
  window.stop()
  window.back(16)
  expect(sent).toHaveLength(7)
})

test('real time sends each frame at its time', async () => {
  const sent: number[] = []
  const began = performance.now()
  await inRealTime((number) => sent.push(number), { first: 5, count: 6 })
  expect(sent).toEqual([5, 6, 7, 8, 9, 10])
  expect(performance.now() - began).toBeGreaterThan(160)
})
