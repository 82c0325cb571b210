import { expect, test } from 'vitest'
import type { RtpPacket } from '../../../../src/codec/rtp/packet.ts'
import { compactNtp } from '../../../../src/codec/rtp/rtcp.ts'
import { Reception } from '../../../../src/webrtc/rtp/reception.ts'

const packet = (sequence: number, timestamp: number) => ({ sequence: sequence & 0xffff, timestamp }) as RtpPacket

test('nothing is reported before the first packet', () => {
  expect(new Reception(1, 90_000).report(0)).toBeUndefined()
})

test('losses are counted since the previous report, and in total', () => {
  const reception = new Reception(7, 90_000)
  for (let i = 0; i < 100; i++) if (i % 4 !== 1) reception.add(packet(65_500 + i, i * 3000), i * 33.3)
  expect(reception.report(5000)).toMatchObject({ ssrc: 7, lost: 25, highestSequence: 65_599, fractionLost: 0.25 })
  for (let i = 100; i < 200; i++) reception.add(packet(65_500 + i, i * 3000), i * 33.3)
  expect(reception.report(9000)).toMatchObject({ lost: 25, fractionLost: 0 })
})

test('jitter is zero for even arrivals, and grows with uneven ones', () => {
  const even = new Reception(1, 90_000)
  const uneven = new Reception(1, 90_000)
  for (let i = 0; i < 200; i++) {
    even.add(packet(i, i * 3000), (i * 100) / 3)
    uneven.add(packet(i, i * 3000), (i * 100) / 3 + (i % 2) * 10)
  }
  expect(even.report(0)!.jitter).toBe(0)
  expect(uneven.report(0)!.jitter).toBeGreaterThan(800)
  expect(uneven.report(0)!.jitter).toBeLessThan(901)
})

test('the last sender report is referenced, with the time since', () => {
  const reception = new Reception(1, 90_000)
  reception.add(packet(1, 0), 0)
  reception.reported(3_900_000_000_123, 1000)
  const report = reception.report(2500)!
  expect(report.lastSenderReport).toBe(compactNtp(3_900_000_000_123))
  expect(report.delaySinceLastSenderReport).toBe(98_304)
})
