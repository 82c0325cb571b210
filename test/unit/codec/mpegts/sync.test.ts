import { describe, expect, test } from 'vitest'
import { TsReader } from '../../../../src/codec/mpegts/reader.ts'
import { byKind, bytesOf, dice, tsPackets, written } from './ts-samples.ts'

const roll = dice(7)
const noise = (bytes: number) => Uint8Array.from({ length: bytes }, () => roll(256))

/** Packets with extra bytes before and after each. */
const spaced = (bytes: Uint8Array, before: number, after: number) =>
  bytesOf(...tsPackets(bytes).map((packet) => bytesOf(noise(before), packet, noise(after))))

describe.each([
  ['192 bytes, a time stamp before each', 4, 0],
  ['204 bytes, a code behind each', 0, 16],
])('packets of %s', (_, before, after) => {
  const { bytes, packets } = written(30)
  const body = spaced(bytes, before, after)

  test.each([[1], [188], [204], [1000], [65_536]])('are read in chunks of %i bytes', (size) => {
    const reader = new TsReader()
    const read = []
    for (let at = 0; at < body.length; at += size) read.push(...reader.push(body.slice(at, at + size)))
    read.push(...reader.flush())
    expect(byKind(read)).toEqual(byKind(packets))
    expect(reader.lost).toBe(0)
  })

  test('are found from any offset, and again after damage', () => {
    for (const from of [1, 5, 100, 187, 191, 203, 500]) {
      const reader = new TsReader()
      const middle = 20 * (188 + before + after)
      const damaged = bytesOf(body.subarray(from, middle), noise(137), body.subarray(middle))
      const read = [...reader.push(damaged), ...reader.flush()]
      expect(reader.synced).toBe(true)
      // Reading starts with the second tables, ten frames later.
      expect(read.length).toBeGreaterThan(packets.length / 2)
    }
  })
})
