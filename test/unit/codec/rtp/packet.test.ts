import { describe, expect, test } from 'vitest'
import { extensionElement, parseRtp, sequenceDistance } from '../../../../src/codec/rtp/packet.ts'

const bytes = (hex: string) => Buffer.from(hex.replaceAll(' ', ''), 'hex')
const PLAIN = '80 e6 ffff 00000bb8 12345678'

describe('parseRtp', () => {
  test('a packet without extension', () => {
    expect(parseRtp(bytes(`${PLAIN} 0102`))).toMatchObject({
      payloadType: 102,
      marker: true,
      sequence: 65535,
      timestamp: 3000,
      ssrc: 0x12345678,
      payloadOffset: 12,
      payload: bytes('0102'),
    })
  })

  test('one-byte extension elements with padding between them', () => {
    const packet = parseRtp(bytes('90 66 0001 00000000 00000001 bede0002 10aa 00 32 010203 00 ff'))!
    expect(packet.payloadOffset).toBe(24)
    expect(extensionElement(packet, 1)).toEqual(bytes('aa'))
    expect(extensionElement(packet, 3)).toEqual(bytes('010203'))
    expect(extensionElement(packet, 2)).toBeUndefined()
  })

  test('two-byte extension elements', () => {
    const packet = parseRtp(bytes('90 66 0001 00000000 00000001 10000002 1402 6869 0000 1500 ff'))!
    expect(extensionElement(packet, 0x14)?.toString()).toBe('hi')
    expect(extensionElement(packet, 0x15)).toHaveLength(0)
  })

  test('other extensions are skipped', () => {
    const packet = parseRtp(bytes('90 66 0001 00000000 00000001 abcd0001 10aa0000 ff'))!
    expect(packet.payload).toEqual(bytes('ff'))
    expect(extensionElement(packet, 1)).toBeUndefined()
  })

  test('contributing sources and padding are removed', () => {
    expect(parseRtp(bytes('a1 66 0001 00000000 00000001 0000000a ff 000002'))?.payload).toEqual(bytes('ff00'))
  })

  test.each([
    ['too short', '80 66 0001 00000000 000000'],
    ['of another version', '40 66 0001 00000000 00000001'],
    ['with less than its sources', '82 66 0001 00000000 00000001 00000000'],
    ['with half an extension header', '90 66 0001 00000000 00000001 bede'],
    ['with less than its extension', '90 66 0001 00000000 00000001 bede0002 00000000'],
    ['with more padding than bytes', 'a0 66 0001 00000000 00000001 ff'],
  ])('no packet that is %s', (_, hex) => expect(parseRtp(bytes(hex))).toBeUndefined())

  test('survives random bytes', () => {
    for (let i = 0; i < 5000; i++) {
      const data = Uint8Array.from({ length: Math.floor(Math.random() * 48) }, () => Math.floor(Math.random() * 256))
      if (data.length > 0) data[0] = 0x80 | (data[0]! & 0x3f)
      const packet = parseRtp(data)
      for (const id of [0, 1, 15, 255]) if (packet) extensionElement(packet, id)
    }
  })
})

test.each([
  [0, 1, 1],
  [65535, 0, 1],
  [0, 65535, -1],
  [10, 10, 0],
  [0, 32767, 32767],
  [100, 60100, -5536],
])('from %i to %i it is %i', (from, to, distance) => expect(sequenceDistance(from, to)).toBe(distance))
