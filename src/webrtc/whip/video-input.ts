// A publisher's video: the best of its layers, complete and in order.

import type { OrderedPacket } from '../../codec/rtp/packet.ts'
import { RTP_VIDEO_CODECS, type RtpVideoCodec, type VideoUnit, VideoUnits } from '../../codec/rtp/video-units.ts'
import { h264ParameterSets, h265ParameterSets } from '../../codec/sdp/media.ts'
import type { RtpReceiver } from '../rtp/receiver.ts'
import type { AgreedCodec } from '../signalling/codec-choice.ts'

export type VideoInputOptions = {
  onUnit(unit: VideoUnit, layer: Layer): void
  /** Requests a keyframe of one stream from the publisher. */
  requestKeyframe(ssrc: number): void
}

export type Layer = {
  ssrc: number
  codec: RtpVideoCodec
  /** How long damaged frames are held back while a keyframe is awaited. */
  patienceMs: number
  receiver: RtpReceiver
  units: VideoUnits
  /** Size of the last keyframe; 0 before. */
  pixels: number
  /** When frames began to be damaged, in milliseconds. */
  brokenAt: number | undefined
}

const OFFERED_SETS: Partial<Record<RtpVideoCodec, (offered: AgreedCodec) => Uint8Array[]>> = {
  h264: h264ParameterSets,
  hevc: h265ParameterSets,
}
const UNKNOWN = 0
/** A layer that has sent nothing for this long is off: publishers stop the upper ones when their network is slow. */
const SILENT_MS = 1000
/** OBS ignores keyframe requests; after this time a damaged frame is better than a frozen one. */
const PATIENCE_MS = 1000

/** Passes on the frames of the largest active layer, and changes layers at keyframes. */
export class VideoInput {
  readonly #options: VideoInputOptions
  readonly #layers = new Map<number, Layer>()
  #selected: Layer | undefined

  constructor(options: VideoInputOptions) {
    this.#options = options
  }

  /** Adds a stream; its packets go to `push`. */
  add(ssrc: number, receiver: RtpReceiver, offered: AgreedCodec): void {
    const codec = RTP_VIDEO_CODECS[offered.name as keyof typeof RTP_VIDEO_CODECS]
    const units = new VideoUnits(codec, OFFERED_SETS[codec]?.(offered))
    const patienceMs = offered.feedback.includes('nack pli') ? PATIENCE_MS : 0
    this.#layers.set(ssrc, { ssrc, codec, patienceMs, receiver, units, pixels: UNKNOWN, brokenAt: undefined })
  }

  remove(ssrc: number): void {
    if (this.#selected?.ssrc === ssrc) this.#selected = undefined
    this.#layers.delete(ssrc)
  }

  get selected(): Layer | undefined {
    return this.#selected
  }

  push(ssrc: number, packets: readonly OrderedPacket[], now: number): void {
    const layer = this.#layers.get(ssrc)
    if (!layer) return
    for (const packet of packets) {
      const before = layer.units.dropped
      const units = layer.units.push(packet)
      if (packet.lostBefore > 0 || layer.units.dropped > before) this.#broken(layer, now)
      for (const unit of units) this.#unit(layer, unit, now)
    }
  }

  /** Requests a keyframe of the layer in use, or of all layers if there is none. */
  requestKeyframe(): void {
    const layers = this.#selected ? [this.#selected] : [...this.#layers.values()]
    for (const { ssrc } of layers) this.#options.requestKeyframe(ssrc)
  }

  /**
   * Call about twice a second: repeats the request if a keyframe is still missing, also for layers that may be better
   * than the one in use, and for the best remaining one when that stopped.
   */
  check(now: number): void {
    const alive = [...this.#layers.values()].filter(({ receiver }) => now - receiver.newestAt < SILENT_MS)
    const current = this.#selected && alive.includes(this.#selected) ? this.#selected : undefined
    if (current?.brokenAt !== undefined) this.#options.requestKeyframe(current.ssrc)
    const others = alive.filter((layer) => layer !== current)
    const better = others.filter(({ pixels }) => !current || pixels === UNKNOWN || pixels > current.pixels)
    for (const layer of better) this.#options.requestKeyframe(layer.ssrc)
  }

  #broken(layer: Layer, now: number): void {
    layer.brokenAt ??= now
    if (layer === this.#selected) this.#options.requestKeyframe(layer.ssrc)
  }

  #unit(layer: Layer, unit: VideoUnit, now: number): void {
    if (unit.key) {
      layer.brokenAt = undefined
      if (unit.size) layer.pixels = unit.size.width * unit.size.height
      if (this.#isBetter(layer, now)) this.#selected = layer
      // Losses of the other layers do not matter once they are known to be smaller.
      for (const one of this.#layers.values()) {
        one.receiver.wanted = one === this.#selected || one.pixels === UNKNOWN || one.pixels > this.#selected!.pixels
      }
    }
    if (layer !== this.#selected) return
    if (layer.brokenAt !== undefined && now - layer.brokenAt < layer.patienceMs) return
    this.#options.onUnit(unit, layer)
  }

  #isBetter(layer: Layer, now: number): boolean {
    const current = this.#selected
    return !current || layer.pixels > current.pixels || now - current.receiver.newestAt >= SILENT_MS
  }
}
