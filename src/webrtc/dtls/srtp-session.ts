// Both directions of SRTP: packet index, rollover counter and replay window (RFC 3711 §3.3).
import { parseRtp, type RtpPacket } from '../../codec/rtp/packet.ts'
import { type SrtpCipher, type SrtpProfile, srtpCipher } from './srtp.ts'

export type SrtpKeys = {
  profile: SrtpProfile
  localKey: Buffer
  localSalt: Buffer
  remoteKey: Buffer
  remoteSalt: Buffer
}

/** As many streams of one peer are followed; simulcast with retransmission has 7, and the rest is not media. */
const MAX_STREAMS = 32
const REPLAY_WINDOW = 1024

/** SRTP between us and one peer, from the keys that DTLS gave. */
export class SrtpSession {
  readonly #out: SrtpCipher
  readonly #in: SrtpCipher
  readonly #streams = new Map<number, ReplayWindow>()
  readonly #rtcpWindows = new Map<number, ReplayWindow>()
  #rtcpIndex = 0

  constructor(keys: SrtpKeys) {
    this.#out = srtpCipher(keys.profile, keys.localKey, keys.localSalt)
    this.#in = srtpCipher(keys.profile, keys.remoteKey, keys.remoteSalt)
  }

  get overheadBytes(): number {
    return this.#out.overheadBytes
  }

  /** See `SrtpCipher.protectRtp`. */
  protectRtp(packet: Buffer, headerBytes: number, payload: Uint8Array, rollover: number): void {
    this.#out.protectRtp(packet, headerBytes, payload, rollover)
  }

  protectRtcp(packet: Buffer): Buffer {
    this.#rtcpIndex = (this.#rtcpIndex + 1) % 2 ** 31
    return this.#out.protectRtcp(packet, this.#rtcpIndex)
  }

  /** The packet in the clear; undefined when it is not authentic or came before. */
  unprotectRtp(data: Buffer): RtpPacket | undefined {
    const sealed = parseRtp(data)
    if (!sealed) return
    const known = this.#streams.get(sealed.ssrc)
    const window = known ?? new ReplayWindow()
    const index = window.estimate(sealed.sequence, 16)
    if (index < 0 || window.has(index)) return
    const clear = this.#in.unprotectRtp(data, sealed.payloadOffset, Math.floor(index / 65536))
    if (!clear) return
    if (!known) remember(this.#streams, sealed.ssrc, window)
    window.add(index)
    return parseRtp(clear)
  }

  /** Likewise, a compound of RTCP. */
  unprotectRtcp(data: Buffer): Buffer | undefined {
    const clear = this.#in.unprotectRtcp(data)
    if (!clear) return
    const ssrc = data.readUInt32BE(4)
    const window = this.#rtcpWindows.get(ssrc) ?? new ReplayWindow()
    if (window.has(clear.index)) return
    if (!this.#rtcpWindows.has(ssrc)) remember(this.#rtcpWindows, ssrc, window)
    window.add(clear.index)
    return clear.packet
  }
}

function remember(streams: Map<number, ReplayWindow>, ssrc: number, window: ReplayWindow): void {
  streams.set(ssrc, window)
  if (streams.size > MAX_STREAMS) streams.delete(streams.keys().next().value!)
}

/** Which of the newest packets of one stream came already (RFC 3711 §3.3.2). */
export class ReplayWindow {
  #highest = -1
  /** Index of the packet last put in each slot; a float holds all 48 bits. */
  readonly #seen = new Float64Array(REPLAY_WINDOW).fill(-1)

  /** Index of a packet from its lowest `bits` bits: the one nearest to the highest so far (Appendix A). */
  estimate(low: number, bits: number): number {
    if (this.#highest < 0) return low
    const turn = 2 ** bits
    const base = Math.floor(this.#highest / turn) * turn
    const candidates = [base + low, base + low - turn, base + low + turn]
    return candidates.reduce((a, b) => (Math.abs(b - this.#highest) < Math.abs(a - this.#highest) ? b : a))
  }

  /** True when the packet came already, or is too old to tell. */
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
