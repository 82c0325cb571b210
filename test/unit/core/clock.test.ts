import { describe, expect, it } from 'vitest'
import { Unwrapper } from '../../../src/core/clock.ts'

describe('Unwrapper', () => {
  it.each([
    ['rises', 33, [10, 20, 30], [10, 20, 30]],
    ['wraps at 33 bits', 33, [2 ** 33 - 5, 3, 9], [2 ** 33 - 5, 2 ** 33 + 3, 2 ** 33 + 9]],
    [
      'goes back over the wrap (B-frames)',
      33,
      [2 ** 33 - 5, 3, 2 ** 33 - 2, 9],
      [2 ** 33 - 5, 2 ** 33 + 3, 2 ** 33 - 2, 2 ** 33 + 9],
    ],
    ['wraps at 32 bits', 32, [2 ** 32 - 1, 0, 1], [2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1]],
    ['goes below its beginning', 16, [2, 65_535, 3], [2, -1, 3]],
  ])('%s', (_, bits, input, expected) => {
    const unwrapper = new Unwrapper(bits)
    expect(input.map((value) => unwrapper.unwrap(value))).toEqual(expected)
  })

  it('stays exact over many wraps', () => {
    const unwrapper = new Unwrapper(32)
    let truth = 0
    for (let i = 0; i < 10_000; i++, truth += 2 ** 30) expect(unwrapper.unwrap(truth % 2 ** 32)).toBe(truth)
  })
})
