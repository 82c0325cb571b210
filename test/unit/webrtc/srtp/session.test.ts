import { describe, expect, test } from 'vitest'
import { RtcpRrPacket, RtpHeader, SrtcpSession, SrtpSession as WeriftSrtp } from 'werift'
import { writePictureLoss } from '../../../../src/codec/rtp/rtcp.ts'
import { NativeMemory } from '../../../../src/webrtc/native/memory.ts'
import { deriveKey, masterSaltBytes, SRTP_PROFILES, type SrtpProfile } from '../../../../src/webrtc/srtp/profile.ts'
import { ReplayWindow, SrtpSession } from '../../../../src/webrtc/srtp/session.ts'

test('keys are derived as in RFC 3711 appendix B.3', () => {
  const key = Buffer.from('E1F97A0D3E018BE0D64FA32C06DE4139', 'hex')
  const salt = Buffer.from('0EC675AD498AFEEBB6960B3AABE6', 'hex')
  const hex = (label: number, bytes: number) => deriveKey(key, salt, label, bytes).toString('hex').toUpperCase()
  expect(hex(0, 16)).toBe('C61E7A93744F39EE10734AFE3FF7A087')
  expect(hex(2, 14)).toBe('30CBBC08863D8C85D49DB34A9AE1')
  expect(hex(1, 20)).toBe('CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4')
})

const profiles = Object.entries(SRTP_PROFILES) as [string, SrtpProfile][]

function keys(profile: SrtpProfile) {
  const bytes = (count: number, from: number) => Buffer.from(Array.from({ length: count }, (_, i) => i + from))
  const salt = masterSaltBytes(profile)
  return {
    profile,
    localKey: bytes(16, 1),
    localSalt: bytes(salt, 40),
    remoteKey: bytes(16, 80),
    remoteSalt: bytes(salt, 120),
  }
}

function ends(profile: SrtpProfile): { here: SrtpSession; there: SrtpSession } {
  const ours = keys(profile)
  const { localKey, localSalt, remoteKey, remoteSalt } = ours
  const theirs = { profile, localKey: remoteKey, localSalt: remoteSalt, remoteKey: localKey, remoteSalt: localSalt }
  return { here: new SrtpSession(ours), there: new SrtpSession(theirs) }
}

function weriftConfig(profile: SrtpProfile, mirrored: boolean) {
  const { localKey, localSalt, remoteKey, remoteSalt } = keys(profile)
  const [mine, other] = [
    { key: localKey, salt: localSalt },
    { key: remoteKey, salt: remoteSalt },
  ]
  const [local, remote] = mirrored ? [other, mine] : [mine, other]
  return {
    profile,
    keys: {
      localMasterKey: local.key,
      localMasterSalt: local.salt,
      remoteMasterKey: remote.key,
      remoteMasterSalt: remote.salt,
    },
  }
}

const payload = Buffer.from('the payload of a packet')

function protect(session: SrtpSession, sequence: number, rollover = 0): Buffer {
  const memory = new NativeMemory(12 + payload.length + session.overheadBytes)
  const { bytes: packet } = memory
  packet.set([0x80, 102])
  packet.writeUInt16BE(sequence, 2)
  packet.writeUInt32BE(90_000, 4)
  packet.writeUInt32BE(0xdeadbeef, 8)
  packet.set(payload, 12)
  session.protectRtp(memory, 0, 12, payload.length, rollover)
  return packet
}

describe.each(profiles)('%s', (_, profile) => {
  test('werift decrypts our packets, and we decrypt those of werift', () => {
    const ours = new SrtpSession(keys(profile))
    const werift = new WeriftSrtp(weriftConfig(profile, true))
    expect(werift.decrypt(protect(ours, 5)).subarray(12)).toEqual(payload)
    const header = new RtpHeader({ payloadType: 102, sequenceNumber: 9, timestamp: 1, ssrc: 3, payloadOffset: 12 })
    expect(ours.unprotectRtp(werift.encrypt(payload, header))).toMatchObject({ sequence: 9, ssrc: 3, payload })
  })

  test('the same for RTCP', () => {
    const ours = new SrtpSession(keys(profile))
    const werift = new SrtcpSession(weriftConfig(profile, true))
    const message = writePictureLoss(1, 2)
    expect(werift.decrypt(ours.protectRtcp(message))).toEqual(message)
    const report = new RtcpRrPacket({ ssrc: 4 }).serialize()
    expect(ours.unprotectRtcp(werift.encrypt(report))).toEqual(report)
  })

  test('altered packets are refused', () => {
    const { here, there } = ends(profile)
    const packet = protect(here, 1)
    const compound = here.protectRtcp(writePictureLoss(1, 2))
    for (let at = 0; at < packet.length; at++) {
      const changed = Buffer.from(packet)
      changed[at]! ^= 0x40
      expect(there.unprotectRtp(changed)).toBeUndefined()
    }
    for (let at = 0; at < compound.length; at++) {
      const changed = Buffer.from(compound)
      changed[at]! ^= 0x40
      expect(there.unprotectRtcp(changed)).toBeUndefined()
    }
    expect(there.unprotectRtp(packet)).toBeDefined()
    expect(there.unprotectRtcp(compound)).toBeDefined()
  })

  test('replayed packets are refused', () => {
    const { here, there } = ends(profile)
    const packet = protect(here, 1)
    const compound = here.protectRtcp(writePictureLoss(1, 2))
    expect(there.unprotectRtp(packet)).toBeDefined()
    expect(there.unprotectRtp(packet)).toBeUndefined()
    expect(there.unprotectRtcp(compound)).toBeDefined()
    expect(there.unprotectRtcp(compound)).toBeUndefined()
  })

  test('the sequence number wrap is followed through losses and reordering', () => {
    const { here, there } = ends(profile)
    const order: [number, number][] = [
      [65_000, 0],
      [65_535, 0],
      [300, 1],
      [65_400, 0],
      [2, 1],
      [30_000, 1],
      [50_000, 1],
      [10, 2],
    ]
    for (const [sequence, rollover] of order) {
      expect(there.unprotectRtp(protect(here, sequence, rollover))?.sequence).toBe(sequence)
    }
  })

  test('random bytes are refused', () => {
    const { there } = ends(profile)
    for (let i = 0; i < 2000; i++) {
      const data = Buffer.from(
        Array.from({ length: Math.floor(Math.random() * 60) }, () => Math.floor(Math.random() * 256)),
      )
      if (data.length < 12) continue
      data[0] = 0x80
      expect(there.unprotectRtp(data)).toBeUndefined()
      expect(there.unprotectRtcp(data)).toBeUndefined()
    }
  })
})

test('the replay window refuses packets that are too old', () => {
  const window = new ReplayWindow()
  window.add(5000)
  expect(window.has(5000)).toBe(true)
  expect(window.has(4999)).toBe(false)
  expect(window.has(5000 - 1023)).toBe(false)
  expect(window.has(5000 - 1024)).toBe(true)
  expect(window.has(5000 + 1024)).toBe(false)
})
