// SRTP and SRTCP: RFC 3711, with AES-GCM from RFC 7714.
import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  type KeyObject,
  timingSafeEqual,
} from 'node:crypto'

/** Numbers of the profiles in DTLS (RFC 5764 §4.1.2, RFC 7714 §14.2). */
export const SRTP_PROFILES = { aeadAes128Gcm: 0x0007, aes128CmHmacSha1_80: 0x0001 } as const
export type SrtpProfile = (typeof SRTP_PROFILES)[keyof typeof SRTP_PROFILES]

export const MASTER_KEY_BYTES = 16
export const masterSaltBytes = (profile: SrtpProfile): number => (profile === SRTP_PROFILES.aeadAes128Gcm ? 12 : 14)

const GCM_TAG_BYTES = 16
const HMAC_TAG_BYTES = 10
const SRTCP_ENCRYPTED = 0x80000000

/** One direction of an SRTP session. */
export type SrtpCipher = {
  /** Bytes that protection adds to an RTP packet. */
  readonly overheadBytes: number
  /**
   * Encrypts one RTP packet. `packet` holds the header, `headerBytes` long, and room for payload and `overheadBytes`;
   * the payload comes separately, so that many sessions share it. `rollover` counts the turns of the sequence number.
   */
  protectRtp(packet: Buffer, headerBytes: number, payload: Uint8Array, rollover: number): void
  /** The packet in the clear; undefined when it is not authentic. */
  unprotectRtp(packet: Buffer, headerBytes: number, rollover: number): Buffer | undefined
  protectRtcp(packet: Buffer, index: number): Buffer
  unprotectRtcp(packet: Buffer): { packet: Buffer; index: number } | undefined
}

export function srtpCipher(profile: SrtpProfile, masterKey: Buffer, masterSalt: Buffer): SrtpCipher {
  const derive = (label: number, bytes: number) => deriveKey(masterKey, masterSalt, label, bytes)
  if (profile === SRTP_PROFILES.aeadAes128Gcm) {
    return new GcmCipher(createSecretKey(derive(0, 16)), derive(2, 12), createSecretKey(derive(3, 16)), derive(5, 12))
  }
  const rtp = { key: createSecretKey(derive(0, 16)), salt: derive(2, 14), auth: createSecretKey(derive(1, 20)) }
  const rtcp = { key: createSecretKey(derive(3, 16)), salt: derive(5, 14), auth: createSecretKey(derive(4, 20)) }
  return new CounterCipher(rtp, rtcp)
}

/** RFC 3711 §4.3.1 with a key derivation rate of 0; a GCM salt is filled up with zeros (RFC 7714 §11). */
export function deriveKey(masterKey: Buffer, masterSalt: Buffer, label: number, bytes: number): Buffer {
  const counter = Buffer.alloc(16)
  counter.set(masterSalt)
  counter[7]! ^= label
  return createCipheriv('aes-128-ctr', masterKey, counter).update(Buffer.alloc(bytes))
}

class GcmCipher implements SrtpCipher {
  readonly overheadBytes = GCM_TAG_BYTES
  readonly #rtpKey: KeyObject
  readonly #rtpSalt: Buffer
  readonly #rtcpKey: KeyObject
  readonly #rtcpSalt: Buffer
  readonly #nonce = Buffer.alloc(12)

  constructor(rtpKey: KeyObject, rtpSalt: Buffer, rtcpKey: KeyObject, rtcpSalt: Buffer) {
    this.#rtpKey = rtpKey
    this.#rtpSalt = rtpSalt
    this.#rtcpKey = rtcpKey
    this.#rtcpSalt = rtcpSalt
  }

  protectRtp(packet: Buffer, headerBytes: number, payload: Uint8Array, rollover: number): void {
    const cipher = createCipheriv('aes-128-gcm', this.#rtpKey, this.#rtpNonce(packet, rollover))
    cipher.setAAD(packet.subarray(0, headerBytes))
    packet.set(cipher.update(payload), headerBytes)
    cipher.final()
    packet.set(cipher.getAuthTag(), headerBytes + payload.length)
  }

  unprotectRtp(packet: Buffer, headerBytes: number, rollover: number): Buffer | undefined {
    const tagAt = packet.length - GCM_TAG_BYTES
    if (tagAt < headerBytes) return
    const decipher = createDecipheriv('aes-128-gcm', this.#rtpKey, this.#rtpNonce(packet, rollover))
    decipher.setAAD(packet.subarray(0, headerBytes)).setAuthTag(packet.subarray(tagAt))
    const payload = decipher.update(packet.subarray(headerBytes, tagAt))
    return authentic(decipher) ? Buffer.concat([packet.subarray(0, headerBytes), payload]) : undefined
  }

  protectRtcp(packet: Buffer, index: number): Buffer {
    const trailer = Buffer.alloc(4)
    trailer.writeUInt32BE((index | SRTCP_ENCRYPTED) >>> 0)
    const cipher = createCipheriv('aes-128-gcm', this.#rtcpKey, this.#rtcpNonce(packet, index))
    cipher.setAAD(Buffer.concat([packet.subarray(0, 8), trailer]))
    const body = cipher.update(packet.subarray(8))
    cipher.final()
    return Buffer.concat([packet.subarray(0, 8), body, cipher.getAuthTag(), trailer])
  }

  unprotectRtcp(packet: Buffer): { packet: Buffer; index: number } | undefined {
    const trailerAt = packet.length - 4
    const tagAt = trailerAt - GCM_TAG_BYTES
    if (tagAt < 8) return
    const word = packet.readUInt32BE(trailerAt)
    // Every WebRTC endpoint encrypts (RFC 8827 §6.5): a packet that is only signed is not taken.
    if (word < SRTCP_ENCRYPTED) return
    const index = word - SRTCP_ENCRYPTED
    const decipher = createDecipheriv('aes-128-gcm', this.#rtcpKey, this.#rtcpNonce(packet, index))
    decipher.setAAD(Buffer.concat([packet.subarray(0, 8), packet.subarray(trailerAt)]))
    decipher.setAuthTag(packet.subarray(tagAt, trailerAt))
    const body = decipher.update(packet.subarray(8, tagAt))
    return authentic(decipher) ? { packet: Buffer.concat([packet.subarray(0, 8), body]), index } : undefined
  }

  /** RFC 7714 §8.1: SSRC, rollover counter and sequence number, over the salt. */
  #rtpNonce(packet: Buffer, rollover: number): Buffer {
    const nonce = this.#nonce
    nonce.writeUInt16BE(0, 0)
    packet.copy(nonce, 2, 8, 12)
    nonce.writeUInt32BE(rollover >>> 0, 6)
    packet.copy(nonce, 10, 2, 4)
    return xor(nonce, this.#rtpSalt)
  }

  /** RFC 7714 §9.1. */
  #rtcpNonce(packet: Buffer, index: number): Buffer {
    const nonce = Buffer.alloc(12)
    packet.copy(nonce, 2, 4, 8)
    nonce.writeUInt32BE(index, 8)
    return xor(nonce, this.#rtcpSalt)
  }
}

type CounterKeys = { key: KeyObject; salt: Buffer; auth: KeyObject }

/** AES in counter mode with an HMAC-SHA1 tag of 80 bits (RFC 3711 §4.1.1 and §4.2.1). */
class CounterCipher implements SrtpCipher {
  readonly overheadBytes = HMAC_TAG_BYTES
  readonly #rtp: CounterKeys
  readonly #rtcp: CounterKeys

  constructor(rtp: CounterKeys, rtcp: CounterKeys) {
    this.#rtp = rtp
    this.#rtcp = rtcp
  }

  protectRtp(packet: Buffer, headerBytes: number, payload: Uint8Array, rollover: number): void {
    const end = headerBytes + payload.length
    packet.set(this.#crypt(this.#rtp, packet, 8, rollover, packet.readUInt16BE(2), payload), headerBytes)
    packet.set(this.#rtpTag(packet.subarray(0, end), rollover), end)
  }

  unprotectRtp(packet: Buffer, headerBytes: number, rollover: number): Buffer | undefined {
    const end = packet.length - HMAC_TAG_BYTES
    if (end < headerBytes) return
    if (!timingSafeEqual(packet.subarray(end), this.#rtpTag(packet.subarray(0, end), rollover))) return
    const payload = packet.subarray(headerBytes, end)
    const clear = this.#crypt(this.#rtp, packet, 8, rollover, packet.readUInt16BE(2), payload)
    return Buffer.concat([packet.subarray(0, headerBytes), clear])
  }

  protectRtcp(packet: Buffer, index: number): Buffer {
    const body = this.#crypt(this.#rtcp, packet, 4, index >>> 16, index & 0xffff, packet.subarray(8))
    const trailer = Buffer.alloc(4)
    trailer.writeUInt32BE((index | SRTCP_ENCRYPTED) >>> 0)
    const signed = Buffer.concat([packet.subarray(0, 8), body, trailer])
    return Buffer.concat([signed, this.#rtcpTag(signed)])
  }

  unprotectRtcp(packet: Buffer): { packet: Buffer; index: number } | undefined {
    const tagAt = packet.length - HMAC_TAG_BYTES
    if (tagAt < 12) return
    const signed = packet.subarray(0, tagAt)
    if (!timingSafeEqual(packet.subarray(tagAt), this.#rtcpTag(signed))) return
    const word = packet.readUInt32BE(tagAt - 4)
    if (word < SRTCP_ENCRYPTED) return
    const index = word - SRTCP_ENCRYPTED
    const body = this.#crypt(this.#rtcp, packet, 4, index >>> 16, index & 0xffff, packet.subarray(8, tagAt - 4))
    return { packet: Buffer.concat([packet.subarray(0, 8), body]), index }
  }

  #crypt(keys: CounterKeys, packet: Buffer, ssrcAt: number, high: number, low: number, data: Uint8Array): Buffer {
    const counter = Buffer.alloc(16)
    packet.copy(counter, 4, ssrcAt, ssrcAt + 4)
    counter.writeUInt32BE(high >>> 0, 8)
    counter.writeUInt16BE(low, 12)
    return createCipheriv('aes-128-ctr', keys.key, xor(counter, keys.salt)).update(data)
  }

  #rtpTag(signed: Buffer, rollover: number): Buffer {
    const counter = Buffer.alloc(4)
    counter.writeUInt32BE(rollover >>> 0)
    return createHmac('sha1', this.#rtp.auth).update(signed).update(counter).digest().subarray(0, HMAC_TAG_BYTES)
  }

  #rtcpTag(signed: Buffer): Buffer {
    return createHmac('sha1', this.#rtcp.auth).update(signed).digest().subarray(0, HMAC_TAG_BYTES)
  }
}

function xor(bytes: Buffer, salt: Buffer): Buffer {
  for (let i = 0; i < salt.length; i++) bytes[i]! ^= salt[i]!
  return bytes
}

function authentic(decipher: { final(): Buffer }): boolean {
  try {
    decipher.final()
    return true
  } catch {
    return false
  }
}
