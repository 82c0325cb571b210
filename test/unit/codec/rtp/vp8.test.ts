import { expect, test } from 'vitest'
import { packetizeVp8, Vp8Assembler } from '../../../../src/codec/rtp/vp8.ts'

test.each([1, 99, 100, 101, 199, 5000])('a frame of %i bytes is split into even payloads and reassembled', (bytes) => {
  const frame = Uint8Array.from({ length: bytes }, (_, i) => i % 251)
  const payloads = packetizeVp8(frame, 100)
  expect(payloads).toHaveLength(Math.ceil(bytes / 99))
  const sizes = payloads.map(({ length }) => length)
  expect(Math.max(...sizes)).toBeLessThanOrEqual(100)
  expect(Math.min(...sizes)).toBeGreaterThan(1)
  // Only the first starts partition 0 (RFC 7741 §4.2).
  expect(payloads.map(([descriptor]) => descriptor)).toEqual(payloads.map((_, i) => (i === 0 ? 0x10 : 0)))
  const assembler = new Vp8Assembler()
  for (const payload of payloads) assembler.push(payload)
  expect(assembler.take()).toEqual(frame)
})

test('an empty frame needs no packet', () => {
  expect(packetizeVp8(new Uint8Array(), 100)).toEqual([])
})
