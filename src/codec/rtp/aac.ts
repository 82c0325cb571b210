// RTP payload format for AAC: RFC 3640, mode AAC-hbr (§3.3.6), which cameras and media servers use.
// Bound: each byte is copied once behind a header of seven; a unit has 8 KiB at most, and one is kept in parts.
import { ADTS_SAMPLE_RATES } from '../audio/adts.ts'
import { plainBytes } from '../bytes.ts'
import type { OrderedPacket } from './packet.ts'

/** `layout` is the channel configuration of ISO/IEC 14496-3, Table 1.19. */
export type AacFormat = { sampleRate: number; channels: number; layout: number; profile: number }

export type AacFrame = {
  /** With its ADTS header. */
  data: Uint8Array
  /** RTP time stamp. */
  timestamp: number
}

const SAMPLES = 1024
const ADTS_BYTES = 7
/** AU-header: 13 bits of size and 3 of the index. */
const AU_HEADER_BYTES = 2

/** From the parameters of a session description (§4.1); undefined for other modes, and for what ADTS cannot carry. */
export function aacFormat(parameters: Record<string, string>): AacFormat | undefined {
  const { mode = '', sizelength, indexlength, config = '' } = parameters
  if (mode.toLowerCase() !== 'aac-hbr' || sizelength !== '13' || indexlength !== '3') return undefined
  // AudioSpecificConfig, ISO/IEC 14496-3 §1.6.2.1: five bits of type, four of rate, four of layout.
  const [first, second] = Buffer.from(config, 'hex')
  if (first === undefined || second === undefined) return undefined
  const profile = (first >> 3) - 1
  const sampleRate = ADTS_SAMPLE_RATES[((first & 7) << 1) | (second >> 7)]
  const layout = (second >> 3) & 15
  // ADTS has two bits for the type; layout 7 has eight channels.
  if (profile < 0 || profile > 3 || sampleRate === undefined || layout < 1 || layout > 7) return undefined
  return { profile, sampleRate, layout, channels: layout === 7 ? 8 : layout }
}

export class AacFrames {
  readonly #format: AacFormat
  #parts: Uint8Array[] = []
  #missing = 0

  constructor(format: AacFormat) {
    this.#format = format
  }

  /** The frames that the packet completes; malformed ones are left out. */
  push({ packet: { payload, timestamp }, lostBefore }: OrderedPacket): AacFrame[] {
    if (lostBefore > 0) this.#missing = 0
    if (payload.length < 2) return []
    const headers = ((payload[0]! << 8) | payload[1]!) >> 3
    const count = Math.floor(headers / AU_HEADER_BYTES)
    let at = 2 + headers
    if (at > payload.length) return []
    const frames: AacFrame[] = []
    for (let i = 0; i < count; i++) {
      const header = 2 + i * AU_HEADER_BYTES
      const size = ((payload[header]! << 8) | payload[header + 1]!) >> 3
      if (count === 1 && size > payload.length - at) return this.#fragment(payload.subarray(at), size, timestamp)
      this.#missing = 0
      if (size === 0 || at + size > payload.length) break
      frames.push({ data: this.#framed([payload.subarray(at, at + size)], size), timestamp: timestamp + i * SAMPLES })
      at += size
    }
    return frames
  }

  /** §3.1: each fragment has the size of the whole unit in its header. */
  #fragment(part: Uint8Array, size: number, timestamp: number): AacFrame[] {
    if (this.#missing === 0) {
      this.#parts = []
      this.#missing = size
    }
    this.#parts.push(part.slice())
    this.#missing -= part.length
    if (this.#missing > 0 && part.length > 0) return []
    const whole = this.#missing === 0
    this.#missing = 0
    return whole ? [{ data: this.#framed(this.#parts, size), timestamp }] : []
  }

  /** ISO/IEC 14496-3 §1.A.2.2. */
  #framed(parts: readonly Uint8Array[], size: number): Uint8Array {
    const { profile, sampleRate, layout } = this.#format
    const length = size + ADTS_BYTES
    const rate = ADTS_SAMPLE_RATES.indexOf(sampleRate)
    const header = Uint8Array.of(
      0xff,
      0xf1,
      (profile << 6) | (rate << 2) | (layout >> 2),
      ((layout & 3) << 6) | (length >> 11),
      (length >> 3) & 0xff,
      ((length & 7) << 5) | 0x1f,
      0xfc,
    )
    return plainBytes(Buffer.concat([header, ...parts]))
  }
}
