import { randomBytes } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { parseRtp } from '../../../../src/codec/rtp/packet.ts'
import type { PacketBatch } from '../../../../src/webrtc/native/packet-batch.ts'
import type { Peer } from '../../../../src/webrtc/peer.ts'
import { RtpSender } from '../../../../src/webrtc/rtp/sender.ts'
import { type AgreedMedia, EXTENSIONS } from '../../../../src/webrtc/signalling/negotiate.ts'
import { SRTP_PROFILES, type SrtpProfile } from '../../../../src/webrtc/srtp/profile.ts'
import { SrtpSession } from '../../../../src/webrtc/srtp/session.ts'

const key = { localKey: randomBytes(16), remoteKey: randomBytes(16) }

/** Packets received from the sender, with both ends of SRTP. */
function wire(profile: SrtpProfile) {
  const salt = randomBytes(profile === SRTP_PROFILES.aeadAes128Gcm ? 12 : 14)
  const srtp = new SrtpSession({ profile, ...key, localSalt: salt, remoteSalt: salt })
  const { localKey, remoteKey } = key
  const there = { profile, localKey: remoteKey, remoteKey: localKey, localSalt: salt, remoteSalt: salt }
  const packets: Buffer[] = []
  const peer = {
    overheadBytes: srtp.overheadBytes,
    protectRtp: (...given: Parameters<SrtpSession['protectRtp']>) => {
      srtp.protectRtp(...given)
      return true
    },
    sendBatch: (batch: PacketBatch) => {
      for (let i = 0; i < batch.count; i++) packets.push(batch.copyOf(i))
    },
  }
  return { peer: peer as unknown as Peer, packets, far: () => new SrtpSession(there) }
}

function media(retransmission?: number): AgreedMedia {
  const extensions = new Map([
    [EXTENSIONS.playoutDelay, { id: 3, uri: EXTENSIONS.playoutDelay }],
    [EXTENSIONS.absoluteSendTime, { id: 5, uri: EXTENSIONS.absoluteSendTime }],
  ])
  const codec = { payloadType: 102, clockRate: 90_000, ...(retransmission !== undefined && { retransmission }) }
  return { codecs: [codec], extensions } as unknown as AgreedMedia
}

beforeEach(() => vi.useFakeTimers({ toFake: ['hrtime'], now: 5_000_000 }))
afterEach(() => vi.useRealTimers())

describe.each(Object.entries(SRTP_PROFILES))('%s', (_, profile) => {
  test('payloads arrive unchanged, over several batches and the wrap of the sequence number', () => {
    const { peer, packets, far } = wire(profile)
    const sender = new RtpSender(peer, media(), { cname: 'name' })
    const there = far()
    let first: number | undefined
    for (let frame = 0; frame < 330; frame++) {
      const payloads = Array.from({ length: 200 }, (_, i) => Buffer.alloc(i % 50 === 0 ? 1150 : 1 + (i % 7), i))
      sender.send(payloads, frame * 3000, true)
      expect(packets).toHaveLength(200)
      for (const i of [0, 49, 50, 127, 128, 199]) {
        const { sequence, marker, timestamp, payload } = there.unprotectRtp(packets[i]!)!
        first ??= sequence
        expect(sequence).toBe((first + frame * 200 + i) & 0xffff)
        expect([marker, timestamp]).toEqual([i === 199, frame * 3000])
        expect(Buffer.compare(payload, payloads[i]!)).toBe(0)
      }
      packets.length = 0
    }
  })

  test('without RTX, a packet is retransmitted bit by bit, whatever changed since', () => {
    const { peer, packets, far } = wire(profile)
    const sender = new RtpSender(peer, media(), { cname: 'name' })
    sender.playoutDelayMs = 30
    sender.send([Buffer.from('one'), Buffer.from('two')], 3000, true)
    const sent = packets.splice(0)
    sender.playoutDelayMs = 80
    vi.advanceTimersByTime(100)
    const there = far()
    const first = there.unprotectRtp(sent[0]!)!.sequence
    sender.resend([first, (first + 1) & 0xffff])
    expect(packets).toEqual(sent)
    vi.advanceTimersByTime(100)
    sender.resend([first])
    expect(packets.at(-1)).toEqual(sent[0])
  })

  test('with RTX, it is sent there with its original number before the payload and the current time', () => {
    const { peer, packets, far } = wire(profile)
    const sender = new RtpSender(peer, media(103), { cname: 'name' })
    sender.send([Buffer.from('one')], 3000, true)
    const there = far()
    const original = there.unprotectRtp(packets.pop()!)!
    vi.advanceTimersByTime(100)
    for (let again = 0; again < 2; again++) {
      sender.resend([original.sequence])
      vi.advanceTimersByTime(100)
    }
    const [first, second] = packets.map((packet) => there.unprotectRtp(packet)!)
    expect(first).toMatchObject({ payloadType: 103, ssrc: sender.retransmissionSsrc, timestamp: 3000, marker: true })
    expect(second!.sequence).toBe((first!.sequence + 1) & 0xffff)
    expect(Buffer.from(first!.payload).readUInt16BE()).toBe(original.sequence)
    expect(Buffer.from(first!.payload.subarray(2)).toString()).toBe('one')
    expect(parseRtp(packets[0]!)!.extension).not.toEqual(original.extension)
  })
})
