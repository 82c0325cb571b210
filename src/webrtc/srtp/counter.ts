// AES in counter mode with an 80-bit HMAC-SHA1 tag for SRTP: RFC 3711 §4.1.1 and §4.2.1.
// Bound: each byte is hashed and deciphered once; the output is shorter than the packet.
import { timingSafeEqual } from 'node:crypto'
import type { NativeMemory } from '../native/memory.ts'
import type { SrtpCipher } from './cipher.ts'
import type { CounterMode, HmacSha1 } from './primitives.ts'
import { nonce, SRTCP_ENCRYPTED, scratch } from './scratch.ts'

type Keys = { aes: CounterMode; hmac: HmacSha1; salt: Buffer }

const TAG_BYTES = 10
/** In RTCP the first header of a compound stays unencrypted, and the index word follows the rest. */
const RTCP_HEADER_BYTES = 8
const TRAILER_BYTES = 4

export class CounterCipher implements SrtpCipher {
  readonly overheadBytes = TAG_BYTES
  readonly #rtp: Keys
  readonly #rtcp: Keys

  constructor(rtp: Keys, rtcp: Keys) {
    this.#rtp = rtp
    this.#rtcp = rtcp
  }

  protectRtp(memory: NativeMemory, at: number, headerBytes: number, payloadBytes: number, rollover: number): void {
    const { bytes } = memory
    const end = at + headerBytes + payloadBytes
    setCounter(this.#rtp, bytes, at + 8, rollover, bytes.readUInt16BE(at + 2))
    this.#rtp.aes.crypt(nonce, memory, at + headerBytes, payloadBytes)
    // The rollover counter is signed after the packet, where the tag goes afterwards.
    bytes.writeUInt32BE(rollover >>> 0, end)
    const tag = this.#rtp.hmac.sign(memory, at, headerBytes + payloadBytes + 4)
    for (let i = 0; i < TAG_BYTES; i++) bytes[end + i] = tag[i]!
  }

  unprotectRtp(packet: Buffer, headerBytes: number, rollover: number): Buffer | undefined {
    const { bytes } = scratch
    const end = packet.length - TAG_BYTES
    if (end < headerBytes || packet.length > bytes.length) return
    bytes.set(packet)
    bytes.writeUInt32BE(rollover >>> 0, end)
    if (!hasTag(this.#rtp, end + 4, packet.subarray(end))) return
    setCounter(this.#rtp, packet, 8, rollover, packet.readUInt16BE(2))
    this.#rtp.aes.crypt(nonce, scratch, headerBytes, end - headerBytes)
    return Buffer.from(bytes.subarray(0, end))
  }

  protectRtcp(packet: Buffer, index: number): Buffer {
    const { bytes } = scratch
    const signedBytes = packet.length + TRAILER_BYTES
    bytes.set(packet)
    setCounter(this.#rtcp, packet, 4, index >>> 16, index & 0xffff)
    this.#rtcp.aes.crypt(nonce, scratch, RTCP_HEADER_BYTES, packet.length - RTCP_HEADER_BYTES)
    bytes.writeUInt32BE((index | SRTCP_ENCRYPTED) >>> 0, packet.length)
    const tag = this.#rtcp.hmac.sign(scratch, 0, signedBytes).subarray(0, TAG_BYTES)
    return Buffer.concat([bytes.subarray(0, signedBytes), tag])
  }

  unprotectRtcp(packet: Buffer): { packet: Buffer; index: number } | undefined {
    const { bytes } = scratch
    const tagAt = packet.length - TAG_BYTES
    const end = tagAt - TRAILER_BYTES
    if (end < RTCP_HEADER_BYTES || packet.length > bytes.length) return
    bytes.set(packet)
    if (!hasTag(this.#rtcp, tagAt, packet.subarray(tagAt))) return
    const word = packet.readUInt32BE(end)
    // WebRTC requires encryption (RFC 8827 §6.5): a packet that is only signed is refused.
    if (word < SRTCP_ENCRYPTED) return
    const index = word - SRTCP_ENCRYPTED
    setCounter(this.#rtcp, packet, 4, index >>> 16, index & 0xffff)
    this.#rtcp.aes.crypt(nonce, scratch, RTCP_HEADER_BYTES, end - RTCP_HEADER_BYTES)
    return { packet: Buffer.from(bytes.subarray(0, end)), index }
  }

  free(): void {
    for (const { aes, hmac } of [this.#rtp, this.#rtcp]) {
      aes.free()
      hmac.free()
    }
  }
}

/** Compares `tag` with that of the first `bytes` of scratch memory. */
function hasTag({ hmac }: Keys, bytes: number, tag: Buffer): boolean {
  return timingSafeEqual(hmac.sign(scratch, 0, bytes).subarray(0, TAG_BYTES), tag)
}

/**
 * RFC 3711 §4.1.1: SSRC and packet index, XORed with the salt; `low` is the lowest 16 bits of the index, `high` the
 * rest.
 */
function setCounter({ salt }: Keys, packet: Buffer, ssrcAt: number, high: number, low: number): void {
  const { bytes } = nonce
  bytes.fill(0, 0, 16)
  for (let i = 0; i < 4; i++) bytes[4 + i] = packet[ssrcAt + i]!
  bytes.writeUInt32BE(high >>> 0, 8)
  bytes.writeUInt16BE(low, 12)
  for (let i = 0; i < salt.length; i++) bytes[i]! ^= salt[i]!
}
