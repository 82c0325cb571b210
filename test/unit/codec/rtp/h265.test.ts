import { expect, test } from 'vitest'
import { H265Assembler } from '../../../../src/codec/rtp/h265.ts'

function assemble(...payloads: number[][]): number[] | undefined {
  const assembler = new H265Assembler()
  for (const payload of payloads) assembler.push(Uint8Array.from(payload))
  const unit = assembler.take()
  return unit && [...unit]
}

/** A VPS and an IDR slice. */
const SET = [0x40, 0x01, 7]
const SLICE = [0x26, 0x01, 1, 2, 3, 4]
const WHOLE = [0, 0, 0, 1, ...SET, 0, 0, 0, 1, ...SLICE]

test.each<[string, number[][]]>([
  ['one a packet', [SET, SLICE]],
  ['together', [[0x60, 0x01, 0, 3, ...SET, 0, 6, ...SLICE]]],
  ['in fragments', [SET, [0x62, 0x01, 0x93, 1], [0x62, 0x01, 0x13, 2, 3], [0x62, 0x01, 0x53, 4]]],
])('units %s', (_, payloads) => {
  expect(assemble(...payloads)).toEqual(WHOLE)
})

test('fragments have the layer and temporal id of their unit', () => {
  expect(assemble([0x63, 0x0a, 0x80 | 1, 5], [0x63, 0x0a, 0x40 | 1, 6])).toEqual([0, 0, 0, 1, 0x03, 0x0a, 5, 6])
})

test.each<[string, number[][]]>([
  ['a fragment without its beginning', [[0x62, 0x01, 0x13, 2]]],
  [
    'a beginning inside another',
    [
      [0x62, 0x01, 0x93, 1],
      [0x62, 0x01, 0x93, 1],
    ],
  ],
  ['a unit inside another', [[0x62, 0x01, 0x93, 1], SET]],
  ['a unit longer than itself', [[0x60, 0x01, 0, 9, 1]]],
  ['one of another kind', [[0x64, 0x01, 1]]],
  ['one of two bytes', [[0x26, 0x01]]],
])('%s is refused', (_, payloads) => {
  expect(() => assemble(...payloads)).toThrow('this H.265 RTP payload')
})

test('a unit without its end is not a frame', () => {
  expect(assemble([0x62, 0x01, 0x93, 1])).toBeUndefined()
})
