import { expect, test } from 'vitest'
import { readSctpPacket } from '../../../../src/codec/sctp/packet.ts'

/** Chunks of type and body, each with its length and padding; `length` overrides the length field. */
function packet(...chunks: [type: number, body: Buffer, length?: number][]): Buffer {
  const parts = chunks.map(([type, body, length = body.length + 4]) => {
    const chunk = Buffer.alloc(4 + body.length + (-body.length & 3))
    chunk[0] = type
    chunk.writeUInt16BE(length, 2)
    body.copy(chunk, 4)
    return chunk
  })
  return Buffer.concat([Buffer.alloc(12), ...parts])
}

const u16 = (...numbers: number[]) => Buffer.from(numbers.flatMap((number) => [number >> 8, number & 255]))
const data = (sequence: number, stream: number, text = 'x') =>
  Buffer.concat([Buffer.from([0, 0, 0, sequence]), u16(stream, 0), Buffer.from([0, 0, 0, 51]), Buffer.from(text)])
const sack = (...gaps: number[]) => Buffer.concat([Buffer.alloc(8), u16(gaps.length / 2, 0, ...gaps)])
const init = (...parameters: number[]) => Buffer.concat([Buffer.alloc(16), u16(...parameters)])

test.each<[string, Buffer]>([
  ['INIT with parameters', packet([1, init(0xc000, 4, 0x8008, 6, 0xc082)])],
  ['SACK', packet([3, sack(2, 3, 5, 5)])],
  ['SACK without gaps', packet([3, sack()])],
  ['COOKIE ECHO with DATA', packet([10, Buffer.alloc(24)], [0, data(1, 2)])],
  ['HEARTBEAT', packet([4, u16(1, 8, 1, 2)])],
  ['ABORT without cause', packet([6, Buffer.alloc(0)])],
  ['RE-CONFIG', packet([130, u16(13, 18, 0, 1, 0, 1, 0, 1, 7)])],
  ['FORWARD TSN', packet([192, u16(0, 9, 3, 4)])],
  ['SHUTDOWN', packet([7, Buffer.alloc(4)])],
])('%s is accepted', (_, bytes) => {
  expect(readSctpPacket(bytes)).toBeDefined()
})

test('the TSNs of its DATA chunks are read', () => {
  expect(readSctpPacket(packet([0, data(7, 0, 'abc')], [0, data(8, 1023)]))).toEqual({ init: false, sequences: [7, 8] })
  expect(readSctpPacket(packet([1, init()]))).toEqual({ init: true, sequences: [] })
})

test.each<[string, Buffer]>([
  ['nothing', Buffer.alloc(0)],
  ['a header alone', Buffer.alloc(12)],
  ['more than a path takes', packet([0, data(1, 0, 'x'.repeat(2048))])],
  ['a chunk without length, over which a reader would never come', packet([4, Buffer.alloc(8), 0])],
  ['a chunk shorter than its header', packet([4, Buffer.alloc(8), 3])],
  ['a chunk that goes on beyond the packet', packet([4, Buffer.alloc(8), 13])],
  ['a rest that is no chunk', Buffer.concat([packet([11, Buffer.alloc(0)]), Buffer.alloc(3)])],
  ['a parameter without length', packet([1, init(0xc000, 0)])],
  ['a parameter that goes on beyond its chunk', packet([1, init(0xc000, 5)])],
  ['a rest that is no parameter', packet([4, u16(1, 4, 1)])],
  ['an INIT that is short', packet([1, Buffer.alloc(15)])],
  ['an INIT that is not alone', packet([1, init()], [0, data(1, 2)])],
  ['DATA without any', packet([0, data(1, 0, '')])],
  ['DATA of a stream that nobody may have', packet([0, data(1, 1024)])],
  ['a SACK of other length', packet([3, Buffer.concat([sack(2, 3), Buffer.alloc(4)])])],
  ['a SACK with a range that ends before it begins', packet([3, sack(3, 2)])],
  ['a SACK with a range from nothing', packet([3, sack(0, 2)])],
  ['a SACK with ranges that overlap', packet([3, sack(2, 9, 4, 5)])],
  ['a SACK of more than is ever on its way', packet([3, sack(2, 65_535)])],
  ['FORWARD TSN of a stream that nobody may have', packet([192, u16(0, 9, 1024, 4)])],
  ['FORWARD TSN of half a stream', packet([192, u16(0, 9, 3)])],
  ['a chunk that was not agreed upon', packet([64, Buffer.alloc(8)])],
])('%s is refused', (_, bytes) => {
  expect(readSctpPacket(bytes)).toBeUndefined()
})
