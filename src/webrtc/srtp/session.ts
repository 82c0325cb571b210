// Both directions of SRTP: packet index, rollover counter and replay window (RFC 3711 §3.3).
// Bound: of packets that are not authentic nothing is kept, and at most 32 windows of 8 KiB are kept for those that
// are; each is deciphered once.
import { parseRtp, type RtpPacket } from '../../codec/rtp/packet.ts'
import type { NativeMemory } from '../native/memory.ts'
import type { SrtpCipher } from './cipher.ts'
import { openSslPrimitives } from './openssl.ts'
import { nodePrimitives, type Primitives } from './primitives.ts'
import { type SrtpProfile, srtpCipher } from './profile.ts'

export type SrtpKeys = {
  profile: SrtpProfile
  localKey: Buffer
  localSalt: Buffer
  remoteKey: Buffer
  remoteSalt: Buffer
}

/** Limit of streams per peer; simulcast with retransmission has 7. */
const MAX_STREAMS = 32
const REPLAY_WINDOW = 1024

/** SRTP with one peer, with the keys of the DTLS handshake. */
export class SrtpSession {
  readonly #out: SrtpCipher
  readonly #in: SrtpCipher
  readonly #streams = new Map<number, ReplayWindow>()
  readonly #rtcpWindows = new Map<number, ReplayWindow>()
  #rtcpIndex = 0

  constructor(keys: SrtpKeys, primitives: Primitives = openSslPrimitives() ?? nodePrimitives) {
    this.#out = srtpCipher(keys.profile, keys.localKey, keys.localSalt, primitives)
    this.#in = srtpCipher(keys.profile, keys.remoteKey, keys.remoteSalt, primitives)
  }

  /** Discards the keys. Nothing else may be called afterwards. */
  free(): void {
    this.#out.free()
    this.#in.free()
  }

  get overheadBytes(): number {
    return this.#out.overheadBytes
  }

  /** See `SrtpCipher.protectRtp`. */
  protectRtp(memory: NativeMemory, at: number, headerBytes: number, payloadBytes: number, rollover: number): void {
    this.#out.protectRtp(memory, at, headerBytes, payloadBytes, rollover)
  }

  protectRtcp(packet: Buffer): Buffer {
    this.#rtcpIndex = (this.#rtcpIndex + 1) % 2 ** 31
    return this.#out.protectRtcp(packet, this.#rtcpIndex)
  }

  /** The decrypted packet; undefined if it is not authentic or is a replay. */
  unprotectRtp(data: Buffer): RtpPacket | undefined {
    const sealed = parseRtp(data)
    if (!sealed) return
    const known = this.#streams.get(sealed.ssrc)
    const index = known ? known.estimate(sealed.sequence, 16) : sealed.sequence
    if (index < 0 || known?.has(index)) return
    const clear = this.#in.unprotectRtp(data, sealed.payloadOffset, Math.floor(index / 65536))
    if (!clear) return
    const window = known ?? remember(this.#streams, sealed.ssrc)
    window.add(index)
    return parseRtp(clear)
  }

  /** The same for an RTCP compound. */
  unprotectRtcp(data: Buffer): Buffer | undefined {
    const clear = this.#in.unprotectRtcp(data)
    if (!clear) return
    const ssrc = data.readUInt32BE(4)
    const known = this.#rtcpWindows.get(ssrc)
    if (known?.has(clear.index)) return
    const window = known ?? remember(this.#rtcpWindows, ssrc)
    window.add(clear.index)
    return clear.packet
  }
}

function remember(streams: Map<number, ReplayWindow>, ssrc: number): ReplayWindow {
  const window = new ReplayWindow()
  streams.set(ssrc, window)
  if (streams.size > MAX_STREAMS) streams.delete(streams.keys().next().value!)
  return window
}

/** Which recent packets of one stream were received (RFC 3711 §3.3.2). */
export class ReplayWindow {
  #highest = -1
  /** Index of the last packet in each slot; a float holds all 48 bits. */
  readonly #seen = new Float64Array(REPLAY_WINDOW).fill(-1)

  /** Index of a packet from its lowest `bits` bits: the one nearest to the highest so far (Appendix A). */
  estimate(low: number, bits: number): number {
    if (this.#highest < 0) return low
    const turn = 2 ** bits
    const base = Math.floor(this.#highest / turn) * turn
    const candidates = [base + low, base + low - turn, base + low + turn]
    return candidates.reduce((a, b) => (Math.abs(b - this.#highest) < Math.abs(a - this.#highest) ? b : a))
  }

  /** True if the packet was received before, or is too old to tell. */
  has(index: number): boolean {
    if (index > this.#highest) return false
    if (index <= this.#highest - REPLAY_WINDOW) return true
    return this.#seen[index % REPLAY_WINDOW] === index
  }

  add(index: number): void {
    this.#seen[index % REPLAY_WINDOW] = index
    this.#highest = Math.max(this.#highest, index)
  }
}
