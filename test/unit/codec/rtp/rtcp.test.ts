import { describe, expect, test } from 'vitest'
import {
  type GenericNack,
  type PictureLossIndication,
  ReceiverEstimatedMaxBitrate,
  RtcpPacketConverter,
  RtcpPayloadSpecificFeedback,
  type RtcpSrPacket,
  type RtcpTransportLayerFeedback,
} from 'werift'
import {
  compactNtp,
  ntpFromUnixMs,
  parseRtcp,
  writeCname,
  writeNack,
  writePictureLoss,
  writeReceiverReport,
  writeSenderReport,
} from '../../../../src/codec/rtp/rtcp.ts'

const NTP = ntpFromUnixMs(Date.UTC(2026, 0, 2, 3, 4, 5, 678))

describe('written packets parse back', () => {
  test('a compound of a sender report and SDES', () => {
    const report = writeSenderReport({ ssrc: 7, ntp: NTP, timestamp: 90_000, packets: 3, bytes: 4 })
    const [message] = parseRtcp(Buffer.concat([report, writeCname(7, 'someone')]))
    expect(message).toMatchObject({ kind: 'sender-report', ssrc: 7, timestamp: 90_000, reports: [] })
    expect((message as { ntp: number }).ntp).toBeCloseTo(NTP, 3)
  })

  test('a receiver report', () => {
    const block = {
      ssrc: 9,
      fractionLost: 0.25,
      highestSequence: 70_000,
      jitter: 12,
      lastSenderReport: compactNtp(NTP),
      delaySinceLastSenderReport: 65_536,
    }
    const [message] = parseRtcp(writeReceiverReport(1, [{ ...block, lost: -3 }]))
    expect(message).toEqual({ kind: 'receiver-report', ssrc: 1, reports: [block] })
  })

  test.each([[[5]], [[5, 6, 21, 22, 40]], [[65_530, 65_535, 0, 3]]])('a NACK of %j', (sequences) => {
    expect(parseRtcp(writeNack(1, 2, sequences))).toEqual([{ kind: 'nack', ssrc: 2, sequences }])
  })
})

describe('werift parses written packets', () => {
  test('a sender report', () => {
    const [packet] = RtcpPacketConverter.deSerialize(
      writeSenderReport({ ssrc: 7, ntp: NTP, timestamp: 90_000, packets: 3, bytes: 4 }),
    )
    const info = (packet as RtcpSrPacket).senderInfo
    expect(info.rtpTimestamp).toBe(90_000)
    expect(Number(info.ntpTimestamp >> 32n)).toBe(Math.floor(NTP / 1000))
    expect(compactNtp(NTP)).toBe(Number((info.ntpTimestamp >> 16n) & 0xffffffffn))
  })

  test('feedback', () => {
    const [loss] = RtcpPacketConverter.deSerialize(writePictureLoss(1, 2)) as RtcpPayloadSpecificFeedback[]
    expect(loss!.feedback).toMatchObject({ senderSsrc: 1, mediaSsrc: 2 } satisfies Partial<PictureLossIndication>)
    const [nack] = RtcpPacketConverter.deSerialize(writeNack(1, 2, [3, 5])) as RtcpTransportLayerFeedback[]
    expect((nack!.feedback as GenericNack).lost).toEqual([3, 5])
  })
})

test('the bandwidth estimate of another implementation', () => {
  const feedback = new ReceiverEstimatedMaxBitrate({
    senderSsrc: 1,
    mediaSsrc: 0,
    ssrcNum: 1,
    ssrcFeedbacks: [2],
    brExp: 4,
    brMantissa: 156_250,
  })
  const packet = new RtcpPayloadSpecificFeedback({ feedback }).serialize()
  expect(parseRtcp(packet)).toEqual([{ kind: 'bandwidth-estimate', bitsPerSecond: 2_500_000 }])
})

test('a FIR names the stream in its entry', () => {
  const packet = Buffer.from('84ce0004000000010000000000000022 05000000'.replaceAll(' ', ''), 'hex')
  expect(parseRtcp(packet)).toEqual([{ kind: 'picture-loss', ssrc: 0x22 }])
})

test('damage ends the parsing, and earlier packets count', () => {
  const both = Buffer.concat([writePictureLoss(1, 2), writeNack(1, 2, [3])])
  expect(parseRtcp(both.subarray(0, both.length - 1))).toEqual([{ kind: 'picture-loss', ssrc: 2 }])
})

test('random bytes are survived', () => {
  for (let i = 0; i < 5000; i++) {
    const data = Buffer.from(
      Uint8Array.from({ length: Math.floor(Math.random() * 64) }, () => Math.floor(Math.random() * 256)),
    )
    if (data.length > 4) {
      data[0] = 0x80 | (data[0]! & 0x1f)
      data[1] = 200 + (i % 7)
      data.writeUInt16BE(Math.floor(Math.random() * 16), 2)
    }
    parseRtcp(data)
  }
})
