// The video of a publisher: the best of its layers, whole and in order.
import { h264ParameterSets } from '../../codec/sdp/media.ts'
import type { OrderedPacket } from '../rtp/jitter-buffer.ts'
import type { RtpReceiver } from '../rtp/receiver.ts'
import type { AgreedCodec } from '../signalling/codec-choice.ts'
import { type VideoUnit, VideoUnits } from './video-units.ts'

export type VideoInputOptions = {
  onUnit(unit: VideoUnit, layer: Layer): void
  /** Asks the publisher for a keyframe of one stream. */
  requestKeyframe(ssrc: number): void
}

export type Layer = {
  ssrc: number
  codec: 'h264' | 'vp8'
  /** How long damaged frames are held back, for a keyframe to come. */
  patienceMs: number
  receiver: RtpReceiver
  units: VideoUnits
  /** Of the last keyframe; 0 before. */
  pixels: number
  /** When frames began to be damaged for want of a keyframe, in milliseconds. */
  brokenAt: number | undefined
}

const UNKNOWN = 0
/** A layer that sent nothing for this long is off: publishers stop the upper ones when their network gets narrow. */
const SILENT_MS = 1000
/** OBS takes requests for keyframes and sends none; a damaged frame is then better than one that stands for long. */
const PATIENCE_MS = 1000

/** Passes on the frames of the largest layer that is alive; changes between layers happen at keyframes. */
export class VideoInput {
  readonly #options: VideoInputOptions
  readonly #layers = new Map<number, Layer>()
  #selected: Layer | undefined

  constructor(options: VideoInputOptions) {
    this.#options = options
  }

  /** Adds a stream; its packets go to `push`. */
  add(ssrc: number, receiver: RtpReceiver, offered: AgreedCodec): void {
    const codec = offered.name as 'h264' | 'vp8'
    const units = new VideoUnits(codec, codec === 'h264' ? h264ParameterSets(offered) : [])
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

  /** Asks for a keyframe of the layer in use, or of all while there is none. */
  requestKeyframe(): void {
    const layers = this.#selected ? [this.#selected] : [...this.#layers.values()]
    for (const { ssrc } of layers) this.#options.requestKeyframe(ssrc)
  }

  /**
   * To be called about twice a second: asks again where a keyframe is still missing, of layers that may be better than
   * the one in use, and of the best of the others when that fell silent.
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
      // Losses of the others do not matter, once it is known that they are smaller.
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
