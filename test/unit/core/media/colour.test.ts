import { expect, it } from 'vitest'
import { ColourTimeline, DEFAULT_COLOUR } from '../../../../src/core/media/colour.ts'

const colour = (matrix: number) => ({ ...DEFAULT_COLOUR, matrix })

it('frames in flight keep the colours they were decoded with', () => {
  const colours = new ColourTimeline()
  expect(colours.at(0)).toEqual(DEFAULT_COLOUR)
  colours.change(1000, colour(1))
  colours.change(2000, colour(9))
  expect([999, 1000, 1999, 2000, 9999].map((pts) => colours.at(pts).matrix)).toEqual([6, 1, 1, 9, 9])
})

it('a change voids later ones, and the oldest are dropped', () => {
  const colours = new ColourTimeline()
  for (let step = 0; step < 100; step++) colours.change(step * 1000, colour(step % 2 ? 1 : 9))
  colours.change(98_500, colour(5))
  expect([98_000, 98_500, 99_000].map((pts) => colours.at(pts).matrix)).toEqual([9, 5, 5])
  expect(colours.at(0)).toBeDefined()
})
