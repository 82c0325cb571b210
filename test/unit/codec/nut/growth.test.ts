import { describe, test } from 'vitest'
import { nutChecksum, STARTCODE } from '../../../../src/codec/nut/format.ts'
import { NutReader } from '../../../../src/codec/nut/reader.ts'
import { NutWriter } from '../../../../src/codec/nut/writer.ts'
import { AppError } from '../../../../src/core/errors.ts'
import { expectLinear, type Made } from '../../../helpers/growth.ts'

const writer = new NutWriter({ kind: 'audio', codec: 'opus', sampleRate: 48_000, channels: 2 }, { num: 1, den: 90_000 })
const header = Buffer.from(writer.header())

const read =
  (chunkBytes: number) =>
  (input: Uint8Array): Made => {
    const made = { bytes: 0, pieces: 0 }
    const reader = new NutReader({
      onFrame: ({ data }) => {
        made.bytes += data.length
        made.pieces++
      },
    })
    try {
      for (let at = 0; at < input.length; at += chunkBytes) reader.push(input.subarray(at, at + chunkBytes))
    } catch (thrown) {
      if (!(thrown instanceof AppError)) throw thrown
    }
    return made
  }

describe('twice the bytes take twice the time and memory', () => {
  test.each([[64], [65_536]])('empty frames, in chunks of %i bytes', (pieces) => {
    const make = (bytes: number) => {
      const frame = Buffer.from(writer.frame(0, true, 0))
      return Buffer.concat([header, Buffer.alloc(bytes, frame)])
    }
    expectLinear(make, read(pieces))
  })

  test('a long packet in small chunks', () => {
    const make = (bytes: number) => {
      const start = Buffer.alloc(8)
      start.writeBigUInt64BE(STARTCODE.stream)
      // A length without a checksum, so the error is found at its end.
      const length = Buffer.from([
        0x80 | (bytes >> 21),
        0x80 | ((bytes >> 14) & 127),
        0x80 | ((bytes >> 7) & 127),
        bytes & 127,
      ])
      const sum = Buffer.alloc(4)
      sum.writeUInt32BE(nutChecksum(Buffer.concat([start, length])))
      return Buffer.concat([header, start, length, sum, Buffer.alloc(bytes)])
    }
    expectLinear(make, read(100))
  })

  test('data that is not NUT', () => expectLinear((bytes) => Buffer.alloc(bytes, 'nut/multi'), read(100)))
})
