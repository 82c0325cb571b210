// Assembles the packets of one video stream into access units.
// Bound: a unit is made of 16,384 packets and 8 MiB at most; the output of its assembler is bounded there, and
// parameter sets by `ParameterSets`.
import { ParameterSets, type VideoSyntax } from '../access-unit.ts'
import { nalUnits } from '../annexb.ts'
import { av1KeyframeSize } from '../av1/obu.ts'
import { readOr } from '../bit-reader.ts'
import { h264Syntax } from '../h264/nal.ts'
import { hevcSyntax } from '../hevc/nal.ts'
import { Av1Assembler } from './av1.ts'
import { H264Assembler } from './h264.ts'
import { H265Assembler } from './h265.ts'
import type { OrderedPacket } from './packet.ts'
import { Vp8Assembler, vp8KeyframeSize } from './vp8.ts'
import { Vp9Assembler, vp9KeyframeHeader } from './vp9.ts'

export type VideoUnit = {
  data: Uint8Array
  /** RTP time stamp. */
  timestamp: number
  key: boolean
  /** In pixels; only of keyframes. */
  size?: { width: number; height: number }
}

/** A longer unit is an attack on memory. */
const MAX_UNIT_BYTES = 8 * 1024 * 1024
/** Each packet costs memory in addition to its bytes; with 512 bytes each, this many make the longest unit. */
const MAX_UNIT_PACKETS = 16_384

/** Video codecs by SDP name. */
export const RTP_VIDEO_CODECS = { h264: 'h264', vp8: 'vp8', vp9: 'vp9', av1: 'av1', h265: 'hevc' } as const
export type RtpVideoCodec = (typeof RTP_VIDEO_CODECS)[keyof typeof RTP_VIDEO_CODECS]

/** Reassembles the payloads of one frame. `push` throws if one does not fit; `take` starts anew. */
type Assembler = { push(payload: Uint8Array): void; take(): Uint8Array | undefined; reset(): void }
/** Undefined if the unit has no picture. */
type Finish = (data: Uint8Array, timestamp: number) => VideoUnit | undefined

const ASSEMBLERS: Record<RtpVideoCodec, () => Assembler> = {
  h264: () => new H264Assembler(),
  hevc: () => new H265Assembler(),
  vp8: () => new Vp8Assembler(),
  vp9: () => new Vp9Assembler(),
  av1: () => new Av1Assembler(),
}

const FINISHERS: Record<RtpVideoCodec, (parameterSets: readonly Uint8Array[]) => Finish> = {
  h264: (sets) => nalFinisher(h264Syntax, sets),
  hevc: (sets) => nalFinisher(hevcSyntax, sets),
  vp8: () => sizeFinisher(vp8KeyframeSize),
  vp9: () => sizeFinisher(vp9KeyframeHeader),
  av1: () => sizeFinisher(av1KeyframeSize),
}

export class VideoUnits {
  /** Number of damaged frames. */
  dropped = 0
  readonly #assembler: Assembler
  readonly #finish: Finish
  #timestamp: number | undefined
  #bytes = 0
  #packets = 0
  #damaged = false

  /** `parameterSets` are those of the session description, for publishers that do not send them in-band. */
  constructor(codec: RtpVideoCodec, parameterSets: readonly Uint8Array[] = []) {
    this.#assembler = ASSEMBLERS[codec]()
    this.#finish = FINISHERS[codec](parameterSets)
  }

  /** Returns the frame that the packet completes, or that ended before it. */
  push({ packet, lostBefore }: OrderedPacket): VideoUnit[] {
    const units: VideoUnit[] = []
    if (packet.timestamp !== this.#timestamp) {
      // The marker is missing: it was lost, or the publisher sets none.
      if (lostBefore > 0) this.#damaged = true
      units.push(...this.#take())
      this.#timestamp = packet.timestamp
    }
    // The lost packets may have been the first of this frame.
    if (lostBefore > 0) this.#damaged = true
    this.#bytes += packet.payload.length
    this.#packets++
    if (this.#bytes > MAX_UNIT_BYTES || this.#packets > MAX_UNIT_PACKETS) this.#damaged = true
    // The partial frame is useless now.
    if (this.#damaged) this.#assembler.reset()
    if (!this.#damaged && packet.payload.length > 0) {
      try {
        this.#assembler.push(packet.payload)
      } catch {
        this.#damaged = true
      }
    }
    if (packet.marker) units.push(...this.#take())
    return units
  }

  #take(): VideoUnit[] {
    const [damaged, bytes, timestamp] = [this.#damaged, this.#bytes, this.#timestamp]
    const data = this.#assembler.take()
    this.#damaged = false
    this.#bytes = 0
    this.#packets = 0
    if (bytes === 0 || timestamp === undefined) return []
    if (!damaged && data) {
      const unit = this.#finish(data, timestamp)
      return unit ? [unit] : []
    }
    this.dropped++
    return []
  }
}

function nalFinisher(syntax: VideoSyntax, initial: readonly Uint8Array[]): Finish {
  const sets = new ParameterSets(syntax)
  sets.note({ data: new Uint8Array(), nals: [...initial], hasPicture: false, key: false })
  return (data, timestamp) => {
    const nals = nalUnits(data)
    const hasPicture = nals.some((nal) => ['picture', 'rest'].includes(syntax.role(nal)))
    const unit = { data, nals, hasPicture, key: syntax.isKeyframe(nals) }
    sets.note(unit)
    // Some cameras set the marker on parameter sets too, which belong to the next frame.
    if (!hasPicture) return undefined
    if (!unit.key) return { data, timestamp, key: false }
    const sps = sets.sps(unit)
    const size = sps && readOr(undefined, () => syntax.parseSps(sps))
    const complete = sets.complete(unit) ?? data
    return { data: complete, timestamp, key: true, ...(size && { size: { width: size.width, height: size.height } }) }
  }
}

/** A frame whose size can be read is a keyframe. */
function sizeFinisher(sizeOf: (frame: Uint8Array) => VideoUnit['size'] | undefined): Finish {
  return (data, timestamp) => {
    const size = readOr(undefined, () => sizeOf(data))
    if (!size) return { data, timestamp, key: false }
    return { data, timestamp, key: true, size: { width: size.width, height: size.height } }
  }
}
