import { expect, test } from 'vitest'
import { av1KeyframeSize } from '../../../../src/codec/av1/obu.ts'
import { Av1Assembler } from '../../../../src/codec/rtp/av1.ts'

/** First frames of 322×182 by several encoders. */
const KEYFRAMES = {
  libaom:
    '12000a0b000000043d06d4daf90040322a10008400020820880002c1b4ae591b608b5605a96262367e1fbe2f16cc8d57a441e32a0e2cc4122c1c64',
  'SVT-AV1': '12000a0b000000043d06d4fbf90040322110008ce081040820400080008baf4b108e4f517f7f3f52e77b6bd8500963e0d180',
  'rav1e, with a timing':
    '12000a0e000000fa1e836a210ac8101010a03229100227c8e27ebb78d800042a03eb0000000000000000410455400005fb8bcc246a3c3522a2f1176b40',
  'a still picture': '12000a071821e836ad80403213120000001400001001b54886d1e561f2cf9740',
}
const INTER = Buffer.from('1200321d30038080fdf80690001659658a0410800097bdb88cda3e30b5daf77180', 'hex')

test.each(Object.entries(KEYFRAMES))('a keyframe has its size: %s', (_, hex) => {
  const { width, height } = av1KeyframeSize(Buffer.from(hex, 'hex'))!
  // SVT-AV1 and some others round up.
  expect([Math.ceil(width / 8), Math.ceil(height / 8)]).toEqual([41, 23])
  expect(av1KeyframeSize(Buffer.from(hex.slice(4), 'hex'))).toEqual({ width, height })
})

test('a keyframe may be smaller than its sequence header says', () => {
  const bits = (value: number, count: number) => value.toString(2).padStart(count, '0')
  // Profile 0, no timing info, one operating point, 10-bit dimensions, 640×360, no extra tools, 7 bits of order hint.
  const sequence = `000${'0'}0${'0'}0${bits(0, 5)}${bits(0, 12)}${bits(5, 5)}${bits(9, 4)}${bits(9, 4)}${bits(639, 10)}${bits(359, 10)}0000${'0000'}100${'1'}${'1'}${bits(6, 3)}`
  // Shown keyframe, no screen content, explicit size, order hint 0.
  const frame = `0001${'0'}${'0'}${'1'}${bits(0, 7)}${bits(319, 10)}${bits(179, 10)}`
  const bytes = (text: string) => text.padEnd(Math.ceil((text.length + 1) / 8) * 8, '0').match(/.{8}/g)!
  const obu = (type: number, text: string) => {
    const body = bytes(text).map((byte) => Number.parseInt(byte, 2))
    return [(type << 3) | 2, body.length, ...body]
  }
  const unit = (own: string) => Uint8Array.from([...obu(1, sequence), ...obu(6, own)])
  expect(av1KeyframeSize(unit(frame))).toEqual({ width: 320, height: 180 })
  expect(av1KeyframeSize(unit(frame.replace(/^0001001/, '0001000')))).toEqual({ width: 640, height: 360 })
  // An inter frame, one that is not shown, and one that shows an existing frame.
  for (const start of ['0011', '0000', '1000'])
    expect(av1KeyframeSize(unit(frame.replace(/^..../, start)))).toBeUndefined()
})

test('decoding cannot start at a frame without a sequence header', () => {
  expect(av1KeyframeSize(INTER)).toBeUndefined()
  const [, keyframe] = KEYFRAMES.libaom.split(/(?=322a)/)
  expect(av1KeyframeSize(Buffer.from(keyframe!, 'hex'))).toBeUndefined()
})

function assemble(...payloads: number[][]): number[] | undefined {
  const assembler = new Av1Assembler()
  for (const payload of payloads) assembler.push(Uint8Array.from(payload))
  const unit = assembler.take()
  return unit && [...unit]
}

/** A sequence header of two bytes and a frame of four, without size fields, as in RTP. */
const HEADER = [0x08, 1, 2]
const FRAME = [0x30, 3, 4, 5, 6]
const WHOLE = [0x12, 0, 0x0a, 2, 1, 2, 0x32, 4, 3, 4, 5, 6]

test.each<[string, number[][]]>([
  ['each with its length', [[0x00, 3, ...HEADER, 5, ...FRAME]]],
  ['the last without', [[0x20, 3, ...HEADER, ...FRAME]]],
  [
    'one a packet',
    [
      [0x18, ...HEADER],
      [0x10, ...FRAME],
    ],
  ],
  [
    'one in parts',
    [
      [0x60, 3, ...HEADER, 0x30, 3],
      [0xd0, 4],
      [0x90, 5, 6],
    ],
  ],
  [
    'a part and one after it',
    [
      [0x50, 0x08, 1],
      [0xa0, 1, 2, ...FRAME],
    ],
  ],
  ['with sizes in them', [[0x20, 4, 0x0a, 2, 1, 2, 0x32, 4, 3, 4, 5, 6]]],
  ['beside a delimiter, padding and a tile list', [[0x00, 1, 0x10, 3, ...HEADER, 2, 0x78, 0, 2, 0x40, 0, 5, ...FRAME]]],
  ['and those of a further spatial layer', [[0x00, 3, ...HEADER, 5, ...FRAME, 3, 0x34, 0x08, 9]]],
])('units %s', (_, payloads) => {
  expect(assemble(...payloads)).toEqual(WHOLE)
})

test('a unit of 200 bytes has a two-byte length', () => {
  const unit = assemble([0x10, 0x30, ...new Array(200).fill(7)])!
  expect(unit.slice(0, 5)).toEqual([0x12, 0, 0x32, 0xc8, 0x01])
  expect(unit).toHaveLength(205)
})

test.each<[string, number[][]]>([
  ['a part without its beginning', [[0x90, 1, 2]]],
  [
    'a beginning inside another',
    [
      [0x50, 0x30, 1],
      [0x10, 0x30, 2],
    ],
  ],
  ['a unit longer than itself', [[0x00, 9, 1, 2]]],
  ['an empty unit', [[0x00, 0, 1, 0x30]]],
  ['fewer units than it says', [[0x30, 1, 0x30]]],
  ['a length without end', [[0x00, 0x80, 0x80, 0x80]]],
  ['nothing', [[0x10]]],
])('%s is refused', (_, payloads) => {
  expect(() => assemble(...payloads)).toThrow()
})

test('a unit shorter or longer than announced is not a frame', () => {
  expect(assemble([0x50, 0x30, 1])).toBeUndefined()
  expect(assemble([0x10, 0x32, 9, 1])).toBeUndefined()
  expect(assemble()).toBeUndefined()
})
