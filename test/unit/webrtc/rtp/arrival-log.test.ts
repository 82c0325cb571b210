import { describe, expect, test } from 'vitest'
import {
  RtcpPacketConverter,
  type RtcpTransportLayerFeedback,
  type StatusVectorChunk,
  type TransportWideCC,
} from 'werift'
import { ArrivalLog } from '../../../../src/webrtc/rtp/arrival-log.ts'

/** Arrival time of each packet in the feedback, in milliseconds. */
function read(feedback: Buffer): { base: number; arrivals: Map<number, number> } {
  const [packet] = RtcpPacketConverter.deSerialize(feedback) as RtcpTransportLayerFeedback[]
  const cc = packet!.feedback as TransportWideCC
  const symbols = cc.packetChunks.flatMap((chunk) => (chunk as StatusVectorChunk).symbolList)
  const arrivals = new Map<number, number>()
  const deltas = [...cc.recvDeltas]
  let at = cc.referenceTime * 64
  for (const [i, symbol] of symbols.slice(0, cc.packetStatusCount).entries()) {
    if (symbol === 0) continue
    at += deltas.shift()!.delta / 1000
    arrivals.set((cc.baseSequenceNumber + i) & 0xffff, at)
  }
  expect(deltas).toEqual([])
  return { base: cc.baseSequenceNumber, arrivals }
}

describe('feedback, as another implementation parses it', () => {
  test('has arrival times to a quarter of a millisecond', () => {
    const log = new ArrivalLog(1)
    const times = new Map([
      [65_533, 6400.0],
      [65_534, 6401.3],
      [65_535, 6500.9],
      [1, 6499.1],
      [2, 6700],
    ])
    for (const [sequence, at] of times) log.add(sequence, at)
    const { base, arrivals } = read(log.takeFeedback(2)!)
    expect(base).toBe(65_533)
    expect([...arrivals.keys()]).toEqual([...times.keys()])
    for (const [sequence, at] of times) expect(Math.abs(arrivals.get(sequence)! - at)).toBeLessThanOrEqual(0.125)
  })

  test('continues where the previous one ended, and reports each arrival once', () => {
    const log = new ArrivalLog(1)
    for (let i = 10; i < 20; i++) log.add(i, i * 5)
    expect(read(log.takeFeedback(2)!).arrivals.size).toBe(10)
    expect(log.takeFeedback(2)).toBeUndefined()
    log.add(15, 200)
    log.add(22, 205)
    const { base, arrivals } = read(log.takeFeedback(2)!)
    expect(base).toBe(20)
    expect([...arrivals.keys()]).toEqual([22])
  })

  test('is bounded in size', () => {
    const log = new ArrivalLog(1)
    log.add(1, 0)
    log.add(20_000, 1)
    expect(log.takeFeedback(2)!.length).toBeLessThan(300)
  })
})
