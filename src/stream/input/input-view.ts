import type { Reader } from '../../core/broadcast.ts'
import { nowMs } from '../../core/clock.ts'
import type { Colour } from '../../core/media/colour.ts'
import type { VideoFrame } from '../../core/media/frame.ts'
import type { EncodedPacket, ViewerCodec } from '../../core/media/packet.ts'
import { type Closed, type Context, type Resource, Scope } from '../../core/resource.ts'
import type { Ffmpeg } from '../../ffmpeg/probe.ts'
import type { StreamEvents } from '../events.ts'
import { OnDemandOutput } from '../output/on-demand.ts'

export type InputViewOptions = {
  ffmpeg: Ffmpeg
  /** Bitrate of the stream's output, an upper limit for the view. */
  bitrateKbps: number
  /** Longest distance between keyframes. */
  keyframeSeconds: number
  /** Colours of the frame with this time. */
  colourAt(pts: number): Colour
  events: StreamEvents
  /** Asks the publisher for a keyframe. */
  requestSourceKeyframe(): void
}

const MAX_PIXELS = 640 * 360
const MAX_KBPS = 800
/** Each keyframe costs quality in the pipeline's frames, so viewers' requests to the publisher are limited. */
const SOURCE_KEYFRAME_EVERY_MS = 1000

/**
 * The input view: the frames given to the pipeline, small and without audio. A publisher's VP8 is passed unchanged to
 * viewers who watch in VP8.
 */
export class InputView implements Resource {
  readonly closed: Promise<Closed>
  readonly #scope: Scope
  readonly #options: InputViewOptions
  readonly #ways: Record<ViewerCodec, OnDemandOutput>
  /** Whether the publisher sends VP8. */
  #passing = false
  #keyframeWanted = false
  #askedAt = Number.NEGATIVE_INFINITY

  constructor(options: InputViewOptions, context: Context) {
    this.#options = options
    const { ffmpeg, bitrateKbps, keyframeSeconds, colourAt, events } = options
    this.#scope = new Scope(context.signal)
    this.closed = this.#scope.closed
    const small = {
      ...{ ffmpeg, keyframeSeconds, colourAt, events, maxPixels: MAX_PIXELS, background: true },
      bitrateKbps: Math.min(MAX_KBPS, bitrateKbps),
    }
    const below = { signal: this.#scope.signal, log: context.log }
    const onKeyframeWanted = () => {
      this.#keyframeWanted = true
      this.#askSource()
    }
    this.#ways = {
      h264: this.#scope.use(new OnDemandOutput({ ...small, source: 'input-view' }, below)),
      vp8: this.#scope.use(
        new OnDemandOutput({ ...small, codec: 'vp8', source: 'input-view-vp8', onKeyframeWanted }, below),
      ),
    }
  }

  /** Video from the next keyframe on; nothing while there is no publisher. */
  subscribe(codec: ViewerCodec): Reader {
    return this.#ways[codec].subscribe()
  }

  /** Takes a packet of the publisher's video. */
  source(packet: EncodedPacket): void {
    this.#passing = packet.track.codec === 'vp8'
    if (!this.#passing) return
    if (packet.key) this.#keyframeWanted = false
    this.#ways.vp8.pass(packet)
    this.#askSource()
  }

  /** Takes a frame that is given to the pipeline; costs nothing while nobody watches. */
  write(frame: VideoFrame): void {
    this.#ways.h264.write(frame)
    if (!this.#passing) this.#ways.vp8.write(frame)
  }

  requestKeyframe(codec: ViewerCodec): void {
    this.#ways[codec].requestKeyframe()
  }

  playoutDelayMs(codec: ViewerCodec): number {
    return this.#ways[codec].playoutDelayMs
  }

  /** Process id of the encoder of that codec, while it runs. */
  encoderPid(codec: ViewerCodec): number | undefined {
    return this.#ways[codec].stats()?.encoderPid
  }

  close(): Promise<Closed> {
    return this.#scope.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #askSource(): void {
    const now = nowMs()
    if (!this.#passing || !this.#keyframeWanted || now - this.#askedAt < SOURCE_KEYFRAME_EVERY_MS) return
    this.#askedAt = now
    this.#options.requestSourceKeyframe()
  }
}
