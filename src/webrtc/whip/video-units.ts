// From the packets of one video stream to access units.
import { ParameterSets } from '../../codec/access-unit.ts'
import { nalUnits } from '../../codec/annexb.ts'
import { readOr } from '../../codec/bit-reader.ts'
import { h264Syntax } from '../../codec/h264/nal.ts'
import { H264Assembler } from '../../codec/rtp/h264.ts'
import { Vp8Assembler, vp8KeyframeSize } from '../../codec/rtp/vp8.ts'
import type { OrderedPacket } from '../rtp/jitter-buffer.ts'

export type VideoUnit = {
  data: Uint8Array
  /** RTP time stamp. */
  timestamp: number
  key: boolean
  /** In pixels; of keyframes only. */
  size?: { width: number; height: number }
}

/** Longer ones are the work of someone who wants our memory. */
const MAX_UNIT_BYTES = 8 * 1024 * 1024

export class VideoUnits {
  /** Frames that came damaged. */
  dropped = 0
  readonly #assembler: H264Assembler | Vp8Assembler
  readonly #finish: (data: Uint8Array, timestamp: number) => VideoUnit
  #timestamp: number | undefined
  #bytes = 0
  #damaged = false

  /** `parameterSets` are those of the session description, for publishers that do not send them with the frames. */
  constructor(codec: 'h264' | 'vp8', parameterSets: readonly Uint8Array[] = []) {
    this.#assembler = codec === 'h264' ? new H264Assembler() : new Vp8Assembler()
    this.#finish = codec === 'h264' ? h264Finisher(parameterSets) : finishVp8
  }

  /** Returns the frame that the packet completes, or that ended before it. */
  push({ packet, lostBefore }: OrderedPacket): VideoUnit[] {
    const units: VideoUnit[] = []
    if (packet.timestamp !== this.#timestamp) {
      // The marker is missing: either it was lost, or the publisher sets none.
      if (lostBefore > 0) this.#damaged = true
      units.push(...this.#take())
      this.#timestamp = packet.timestamp
    }
    // Whether the lost packets were the first of this frame is not known.
    if (lostBefore > 0) this.#damaged = true
    this.#bytes += packet.payload.length
    if (this.#bytes > MAX_UNIT_BYTES) this.#damaged = true
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
    if (bytes === 0 || timestamp === undefined) return []
    if (!damaged && data) return [this.#finish(data, timestamp)]
    this.dropped++
    return []
  }
}

function h264Finisher(initial: readonly Uint8Array[]): (data: Uint8Array, timestamp: number) => VideoUnit {
  const sets = new ParameterSets(h264Syntax)
  sets.note({ data: new Uint8Array(), nals: [...initial], hasPicture: false, key: false })
  return (data, timestamp) => {
    const nals = nalUnits(data)
    const unit = { data, nals, hasPicture: true, key: h264Syntax.isKeyframe(nals) }
    sets.note(unit)
    if (!unit.key) return { data, timestamp, key: false }
    const sps = sets.sps(unit)
    const size = sps && readOr(undefined, () => h264Syntax.parseSps(sps))
    const complete = sets.complete(unit) ?? data
    return { data: complete, timestamp, key: true, ...(size && { size: { width: size.width, height: size.height } }) }
  }
}

function finishVp8(data: Uint8Array, timestamp: number): VideoUnit {
  const size = vp8KeyframeSize(data)
  return { data, timestamp, key: size !== undefined, ...(size && { size }) }
}
