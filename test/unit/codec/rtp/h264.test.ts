import { describe, expect, test } from 'vitest'
import { joinNalUnits } from '../../../../src/codec/annexb.ts'
import { H264Assembler, packetizeH264 } from '../../../../src/codec/rtp/h264.ts'

const nal = (header: number, bytes: number) => {
  const unit = new Uint8Array(bytes).map((_, i) => 1 + (i % 250))
  unit[0] = header
  return unit
}

function assemble(payloads: readonly Uint8Array[]): Uint8Array | undefined {
  const assembler = new H264Assembler()
  for (const payload of payloads) assembler.push(payload)
  return assembler.take()
}

describe('packetizeH264', () => {
  const keyframe = joinNalUnits([nal(0x67, 20), nal(0x68, 5), nal(0x65, 5000)])

  test('aggregates parameter sets and fragments the slices', () => {
    const payloads = packetizeH264(keyframe, 1200)
    expect(payloads.map((payload) => payload[0]! & 0x1f)).toEqual([24, 28, 28, 28, 28, 28])
    expect(payloads.every((payload) => payload.length <= 1200)).toBe(true)
  })

  test('sends a small unit as it is', () => {
    const unit = nal(0x41, 300)
    expect(packetizeH264(joinNalUnits([unit]), 1200)).toEqual([Buffer.from(unit)].map((one) => new Uint8Array(one)))
  })

  test('a STAP-A has the highest NRI of its units', () => {
    const [payload] = packetizeH264(joinNalUnits([nal(0x06, 9), nal(0x67, 9)]), 1200)
    expect(payload![0]).toBe(0x60 | 24)
  })

  test('fragments are marked at both ends and nearly equal in size', () => {
    const payloads = packetizeH264(joinNalUnits([nal(0x65, 3000)]), 1200)
    expect(payloads.map((payload) => payload[1]! & 0xe0)).toEqual([0x80, 0, 0x40])
    const sizes = payloads.map(({ length }) => length)
    expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThan(10)
  })

  test.each([1, 2, 3, 1197, 1198, 1199, 1200, 1201, 1202, 2396, 2400, 60_000])(
    'a unit of %i bytes is reassembled',
    (bytes) => {
      const unit = joinNalUnits([nal(0x41, Math.max(2, bytes))])
      const payloads = packetizeH264(unit, 1200)
      expect(Math.max(...payloads.map(({ length }) => length))).toBeLessThanOrEqual(1200)
      expect(Buffer.compare(assemble(payloads)!, unit)).toBe(0)
    },
  )

  test('many units of many sizes are reassembled', () => {
    const units = Array.from({ length: 40 }, (_, i) => nal(i % 3 ? 0x41 : 0x06, 2 + ((i * 577) % 3000)))
    const stream = joinNalUnits(units)
    expect(Buffer.compare(assemble(packetizeH264(stream, 1150))!, stream)).toBe(0)
  })

  test('an empty access unit gives no packets', () => {
    expect(packetizeH264(new Uint8Array(), 1200)).toEqual([])
    expect(packetizeH264(Uint8Array.of(0, 0, 1), 1200)).toEqual([])
  })
})

describe('H264Assembler', () => {
  test.each<[string, number[][]]>([
    ['shorter than a header', [[0x65]]],
    ['a fragment without a beginning', [[0x7c, 0x05, 1]]],
    [
      'a beginning inside a unit',
      [
        [0x7c, 0x85, 1],
        [0x7c, 0x85, 1],
      ],
    ],
    [
      'a single unit inside a fragmented one',
      [
        [0x7c, 0x85, 1],
        [0x65, 1],
      ],
    ],
    ['an aggregate cut short', [[0x78, 0, 9, 1]]],
    ['an aggregate with half a length', [[0x78, 0]]],
    ['an aggregate with an empty unit', [[0x78, 0, 0]]],
    ['an interleaved type', [[0x7a, 0, 1, 1, 1]]],
  ])('refuses %s', (_, payloads) => {
    expect(() => assemble(payloads.map((bytes) => Uint8Array.from(bytes)))).toThrow('RTP payload')
  })

  test('delivers nothing while a unit is incomplete, and starts over', () => {
    const assembler = new H264Assembler()
    assembler.push(Uint8Array.of(0x7c, 0x85, 1))
    expect(assembler.take()).toBeUndefined()
    assembler.push(Uint8Array.of(0x65, 7))
    expect([...assembler.take()!]).toEqual([0, 0, 0, 1, 0x65, 7])
  })

  test('survives random payloads', () => {
    const assembler = new H264Assembler()
    for (let i = 0; i < 5000; i++) {
      const payload = Uint8Array.from({ length: Math.floor(Math.random() * 40) }, () => Math.floor(Math.random() * 256))
      try {
        assembler.push(payload)
      } catch (thrown) {
        expect(thrown).toMatchObject({ code: 'invalid-request' })
        assembler.reset()
      }
    }
  })
})
