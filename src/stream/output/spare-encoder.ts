import { type Colour, sameColour } from '../../core/media/colour.ts'
import { sameShape, type VideoFrame } from '../../core/media/frame.ts'
import type { EncodedPacket } from '../../core/media/packet.ts'
import { sleep } from '../../core/resource.ts'
import type { VideoEncoder } from '../../ffmpeg/encoder/encoder.ts'

/** Time limit for the first packet; without one the encoder is used all the same. */
const WARM_UP_MS = 3000
/** A spare that nobody takes is closed after this time. */
const KEPT_MS = 10_000

type OnPacket = (packet: EncodedPacket) => void

/** An encoder that is opened and warmed up before frames come for it, because ffmpeg takes a while to start. */
export class SpareEncoder {
  readonly #opening: Promise<VideoEncoder>
  readonly #first = Promise.withResolvers<void>()
  #onPacket: OnPacket = () => this.#first.resolve()
  #encoder: VideoEncoder | undefined
  #forget: NodeJS.Timeout | undefined
  #taken = false

  constructor(open: (onPacket: OnPacket) => Promise<VideoEncoder>) {
    this.#opening = open((packet) => this.#onPacket(packet))
  }

  /** Resolves when it has encoded this frame; the packet is discarded. */
  async warmUp(frame: VideoFrame): Promise<void> {
    const encoder = await this.#opening
    this.#encoder = encoder
    this.#forget = setTimeout(() => void this.close(), KEPT_MS)
    encoder.encode(frame)
    await Promise.race([this.#first.promise, encoder.closed, sleep(WARM_UP_MS)])
  }

  /** Undefined if it does not fit such frames, or is not open yet. */
  take(shape: VideoFrame, colour: Colour, onPacket: OnPacket): VideoEncoder | undefined {
    const encoder = this.#encoder
    if (!encoder || this.#taken || !sameShape(encoder.shape, shape) || !sameColour(encoder.colour, colour))
      return undefined
    this.#taken = true
    this.#onPacket = onPacket
    clearTimeout(this.#forget)
    return encoder
  }

  async close(): Promise<void> {
    clearTimeout(this.#forget)
    if (this.#taken) return
    this.#taken = true
    const encoder = await this.#opening.catch(() => undefined)
    clearTimeout(this.#forget)
    await encoder?.close()
  }
}
