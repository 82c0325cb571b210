import { expect, test } from 'vitest'
import { Vp9Assembler, vp9KeyframeHeader } from '../../../../src/codec/rtp/vp9.ts'

/** Profile 0, shown, 8 bits, BT.601: 0b10_0_0_0_0_1_0 and the rest, for 1280×720 and 322×182. */
const key = (width: number, height: number) => {
  const bits = `10000010${(0x498342).toString(2).padStart(24, '0')}0010${(width - 1).toString(2).padStart(16, '0')}${(height - 1).toString(2).padStart(16, '0')}`
  return Uint8Array.from(bits.padEnd(80, '0').match(/.{8}/g)!, (byte) => Number.parseInt(byte, 2))
}

test.each([
  [1280, 720],
  [322, 182],
])('a keyframe has its size: %ix%i', (width, height) => {
  expect(vp9KeyframeHeader(key(width, height))).toEqual({
    ...{ width, height },
    colour: { primaries: 2, transfer: 2, matrix: 5, fullRange: false },
  })
})

test('an inter frame is no keyframe, whatever its packets say', () => {
  const inter = Uint8Array.of(0b1000_0110, 0, 0, 0, 0, 0, 0, 0, 0)
  expect(vp9KeyframeHeader(inter)).toBeUndefined()
  const assembler = new Vp9Assembler()
  // P=0, as for a keyframe.
  assembler.push(Uint8Array.of(0x0c, ...inter))
  expect(vp9KeyframeHeader(assembler.take()!)).toBeUndefined()
})

test.each<[string, number[]]>([
  ['without anything', [0x08]],
  ['with a long picture id', [0x88, 0x81, 0x02]],
  ['with layers', [0xa8, 0x81, 0x02, 0x00, 0x07]],
  ['flexible, with three references', [0xf8, 0x05, 0x00, 0x03, 0x05, 0x06]],
  ['with a structure', [0x8a, 0x05, 0x18, 0x05, 0x00, 0x02, 0xd0, 0x02, 0x04, 0x01, 0x14, 0x01]],
])('a descriptor %s is removed', (_, descriptor) => {
  const assembler = new Vp9Assembler()
  assembler.push(Uint8Array.of(...descriptor, 1, 2, 3))
  assembler.push(Uint8Array.of(0x04, 4))
  expect([...assembler.take()!]).toEqual([1, 2, 3, 4])
})

test('packets out of sequence are refused', () => {
  const assembler = new Vp9Assembler()
  expect(() => assembler.push(Uint8Array.of(0x04, 1))).toThrow('continues no frame')
  assembler.push(Uint8Array.of(0x08, 1))
  expect(() => assembler.push(Uint8Array.of(0x08, 1))).toThrow('begins a frame inside another')
  expect(() => new Vp9Assembler().push(Uint8Array.of(0x88, 0x80))).toThrow('ends in its descriptor')
})
