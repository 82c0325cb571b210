import { describe, expect, test } from 'vitest'
import type { OrderedPacket, RtpPacket } from '../../../../src/codec/rtp/packet.ts'
import { JitterBuffer } from '../../../../src/webrtc/rtp/jitter-buffer.ts'

const packet = (sequence: number): RtpPacket => ({
  payloadType: 96,
  marker: false,
  sequence: sequence & 0xffff,
  timestamp: 0,
  ssrc: 1,
  extension: new Uint8Array(),
  twoByteExtension: false,
  payloadOffset: 12,
  payload: new Uint8Array(),
})

const buffer = () => new JitterBuffer({ maxWaitMs: 400, askEveryMs: 40 })
const numbers = (ordered: readonly OrderedPacket[]) => ordered.map(({ packet }) => packet.sequence)

describe('packets', () => {
  test('in order pass at once, also across the wrap', () => {
    const jitter = buffer()
    for (const sequence of [65_533, 65_534, 65_535, 0, 1]) {
      expect(numbers(jitter.push(packet(sequence), 0))).toEqual([sequence])
      expect(jitter.hasGaps).toBe(false)
    }
  })

  test('out of order wait for earlier ones', () => {
    const jitter = buffer()
    jitter.push(packet(10), 0)
    expect(jitter.push(packet(13), 1)).toEqual([])
    expect(jitter.push(packet(12), 2)).toEqual([])
    expect(numbers(jitter.push(packet(11), 3))).toEqual([11, 12, 13])
    expect(jitter.hasGaps).toBe(false)
    expect(jitter.lost).toBe(0)
  })

  test('that came before are dropped', () => {
    const jitter = buffer()
    jitter.push(packet(10), 0)
    expect(jitter.push(packet(10), 0)).toEqual([])
    expect(jitter.push(packet(9), 0)).toEqual([])
    jitter.push(packet(12), 0)
    expect(jitter.push(packet(12), 0)).toEqual([])
    expect(numbers(jitter.push(packet(11), 0))).toEqual([11, 12])
  })

  test('that do not arrive are given up, and the next one reports it', () => {
    const jitter = buffer()
    jitter.push(packet(10), 0)
    jitter.push(packet(13), 100)
    jitter.push(packet(15), 200)
    expect(jitter.giveUp(499)).toEqual([])
    const first = jitter.giveUp(500)
    expect(first.map(({ packet, lostBefore }) => [packet.sequence, lostBefore])).toEqual([[13, 2]])
    expect(jitter.giveUp(600).map(({ packet, lostBefore }) => [packet.sequence, lostBefore])).toEqual([[15, 1]])
    expect(jitter.lost).toBe(3)
    expect(jitter.hasGaps).toBe(false)
    expect(jitter.push(packet(11), 601)).toEqual([])
  })

  test('far away restart the buffer', () => {
    const jitter = buffer()
    jitter.push(packet(10), 0)
    jitter.push(packet(12), 0)
    const [ordered] = jitter.push(packet(20_000), 0)
    expect(ordered).toMatchObject({ lostBefore: 1 })
    expect(numbers(jitter.push(packet(20_001), 0))).toEqual([20_001])
    expect(jitter.hasGaps).toBe(false)
  })
})

describe('missing packets', () => {
  test('are requested after a moment, and again', () => {
    const jitter = buffer()
    jitter.push(packet(65_535), 0)
    jitter.push(packet(2), 0)
    expect(jitter.takeMissing(5)).toEqual([])
    expect(jitter.takeMissing(10)).toEqual([0, 1])
    expect(jitter.takeMissing(30)).toEqual([])
    jitter.push(packet(1), 40)
    expect(jitter.takeMissing(50)).toEqual([0])
  })

  test('are requested a few times only', () => {
    const jitter = buffer()
    jitter.push(packet(0), 0)
    jitter.push(packet(2), 0)
    let asked = 0
    for (let now = 0; now < 5000; now += 10) asked += jitter.takeMissing(now).length
    expect(asked).toBe(10)
  })
})

test('reordered packets come out in order, once, or as lost', () => {
  const jitter = buffer()
  const out: OrderedPacket[] = []
  const total = 20_000
  const pending: { at: number; sequence: number }[] = []
  for (let i = 0; i < total; i++) {
    if (Math.random() < 0.03) continue
    pending.push({ at: i + (Math.random() < 0.1 ? Math.random() * 80 : 0), sequence: i })
    if (Math.random() < 0.02) pending.push({ at: i + 20, sequence: i })
  }
  for (const { at, sequence } of pending.sort((a, b) => a.at - b.at)) {
    out.push(...jitter.push(packet(sequence), at), ...jitter.giveUp(at))
  }
  out.push(...jitter.giveUp(Number.POSITIVE_INFINITY))
  let expected = out[0]!.packet.sequence
  for (const { packet, lostBefore } of out) {
    expect(packet.sequence).toBe((expected + lostBefore) & 0xffff)
    expected += lostBefore + 1
  }
  expect(expected).toBeGreaterThan(total - 20)
})
