// AES-GCM for SRTP: RFC 7714.
// Bound: each byte is deciphered once; the output is shorter than the packet.
import type { NativeMemory } from '../native/memory.ts'
import type { SrtpCipher } from './cipher.ts'
import { GCM_IV_BYTES, GCM_TAG_BYTES, type Gcm } from './primitives.ts'
import { nonce, SRTCP_ENCRYPTED, scratch } from './scratch.ts'

type Keys = { gcm: Gcm; salt: Buffer }

/** In RTCP the first header of a compound stays unencrypted, and so does the index word behind it. */
const RTCP_HEADER_BYTES = 8
const TRAILER_BYTES = 4
const RTCP_CLEAR_BYTES = RTCP_HEADER_BYTES + TRAILER_BYTES

export class GcmCipher implements SrtpCipher {
  readonly overheadBytes = GCM_TAG_BYTES
  readonly #rtp: Keys
  readonly #rtcp: Keys

  constructor(rtp: Keys, rtcp: Keys) {
    this.#rtp = rtp
    this.#rtcp = rtcp
  }

  protectRtp(memory: NativeMemory, at: number, headerBytes: number, payloadBytes: number, rollover: number): void {
    this.#setRtpNonce(memory.bytes, at, rollover)
    this.#rtp.gcm.seal(nonce, memory, at, headerBytes, payloadBytes)
  }

  unprotectRtp(packet: Buffer, headerBytes: number, rollover: number): Buffer | undefined {
    const end = packet.length - GCM_TAG_BYTES
    if (end < headerBytes || packet.length > scratch.bytes.length) return
    this.#setRtpNonce(packet, 0, rollover)
    scratch.bytes.set(packet)
    if (!this.#rtp.gcm.open(nonce, scratch, 0, headerBytes, end - headerBytes)) return
    return Buffer.from(scratch.bytes.subarray(0, end))
  }

  /** The signed plaintext surrounds the encrypted part (§9.2); here it is moved before it. */
  protectRtcp(packet: Buffer, index: number): Buffer {
    const { bytes } = scratch
    const bodyBytes = packet.length - RTCP_HEADER_BYTES
    bytes.set(packet.subarray(0, RTCP_HEADER_BYTES))
    bytes.writeUInt32BE((index | SRTCP_ENCRYPTED) >>> 0, RTCP_HEADER_BYTES)
    bytes.set(packet.subarray(RTCP_HEADER_BYTES), RTCP_CLEAR_BYTES)
    this.#setRtcpNonce(packet, index)
    this.#rtcp.gcm.seal(nonce, scratch, 0, RTCP_CLEAR_BYTES, bodyBytes)
    const header = bytes.subarray(0, RTCP_HEADER_BYTES)
    const trailer = bytes.subarray(RTCP_HEADER_BYTES, RTCP_CLEAR_BYTES)
    const sealed = bytes.subarray(RTCP_CLEAR_BYTES, RTCP_CLEAR_BYTES + bodyBytes + GCM_TAG_BYTES)
    return Buffer.concat([header, sealed, trailer])
  }

  unprotectRtcp(packet: Buffer): { packet: Buffer; index: number } | undefined {
    const { bytes } = scratch
    const trailerAt = packet.length - TRAILER_BYTES
    const bodyBytes = trailerAt - GCM_TAG_BYTES - RTCP_HEADER_BYTES
    if (bodyBytes < 0 || packet.length > bytes.length) return
    const word = packet.readUInt32BE(trailerAt)
    // WebRTC requires encryption (RFC 8827 §6.5): a packet that is only signed is refused.
    if (word < SRTCP_ENCRYPTED) return
    const index = word - SRTCP_ENCRYPTED
    bytes.set(packet.subarray(0, RTCP_HEADER_BYTES))
    bytes.set(packet.subarray(trailerAt), RTCP_HEADER_BYTES)
    bytes.set(packet.subarray(RTCP_HEADER_BYTES, trailerAt), RTCP_CLEAR_BYTES)
    this.#setRtcpNonce(packet, index)
    if (!this.#rtcp.gcm.open(nonce, scratch, 0, RTCP_CLEAR_BYTES, bodyBytes)) return
    const header = bytes.subarray(0, RTCP_HEADER_BYTES)
    return { packet: Buffer.concat([header, bytes.subarray(RTCP_CLEAR_BYTES, RTCP_CLEAR_BYTES + bodyBytes)]), index }
  }

  free(): void {
    this.#rtp.gcm.free()
    this.#rtcp.gcm.free()
  }

  /** §8.1: SSRC, rollover counter and sequence number, XORed with the salt. */
  #setRtpNonce(packet: Buffer, at: number, rollover: number): void {
    const { bytes } = nonce
    bytes[0] = bytes[1] = 0
    for (let i = 0; i < 4; i++) bytes[2 + i] = packet[at + 8 + i]!
    bytes.writeUInt32BE(rollover >>> 0, 6)
    bytes[10] = packet[at + 2]!
    bytes[11] = packet[at + 3]!
    this.#addSalt(this.#rtp.salt)
  }

  /** §9.1. */
  #setRtcpNonce(packet: Buffer, index: number): void {
    const { bytes } = nonce
    bytes.fill(0, 0, 8)
    packet.copy(bytes, 2, 4, 8)
    bytes.writeUInt32BE(index, 8)
    this.#addSalt(this.#rtcp.salt)
  }

  #addSalt(salt: Buffer): void {
    for (let i = 0; i < GCM_IV_BYTES; i++) nonce.bytes[i]! ^= salt[i]!
  }
}
