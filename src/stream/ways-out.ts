import type { Reader, ReaderOptions } from '../core/broadcast.ts'
import type { Log } from '../core/log.ts'
import type { Colour } from '../core/media/colour.ts'
import type { VideoFrame } from '../core/media/frame.ts'
import type { FramePool } from '../core/media/frame-pool.ts'
import type { EncodedPacket, ViewerCodec } from '../core/media/packet.ts'
import { type Closed, type Context, type Resource, Scope } from '../core/resource.ts'
import type { Ffmpeg } from '../ffmpeg/probe.ts'
import type { StreamEvents } from './events.ts'
import { InputView } from './input/input-view.ts'
import type { LatencyTracker } from './latency.ts'
import type { View } from './output/audience.ts'
import { OnDemandOutput } from './output/on-demand.ts'
import { Output } from './output/output.ts'

export type WaysOutOptions = {
  ffmpeg: Ffmpeg
  bitrateKbps: number
  /** Longest distance between keyframes. */
  keyframeSeconds: number
  latency: LatencyTracker
  /** Takes back the memory of output frames. */
  memory: FramePool
  /** Colours of the frame with this time. */
  colourAt(pts: number): Colour
  events: StreamEvents
  /** Asks the publisher for a keyframe. */
  requestSourceKeyframe(): void
}

/**
 * A stream's outputs: the main output, which always runs; the same in VP8 for viewers without H.264; and the input
 * view. The latter two run only while somebody watches them.
 */
export class WaysOut implements Resource {
  /** Ends with the main output; the others come and go. */
  readonly closed: Promise<Closed>
  readonly output: Output
  readonly #vp8: OnDemandOutput
  readonly #inputView: InputView
  readonly #scope: Scope
  readonly #log: Log

  constructor(options: WaysOutOptions, context: Context) {
    this.#log = context.log
    const { ffmpeg, bitrateKbps, keyframeSeconds, colourAt, events } = options
    this.#scope = new Scope(context.signal)
    this.closed = this.#scope.closed
    const below = { signal: this.#scope.signal, log: context.log }
    const shared = { ffmpeg, bitrateKbps, keyframeSeconds, colourAt, events }
    const { latency, memory, requestSourceKeyframe } = options
    this.output = this.#scope.use(new Output({ ...shared, latency, memory }, below))
    this.#vp8 = this.#scope.use(new OnDemandOutput({ ...shared, codec: 'vp8', source: 'encoder-vp8' }, below))
    this.#inputView = this.#scope.use(new InputView({ ...shared, requestSourceKeyframe }, below))
    this.#scope.spawn(async () => await this.output.closed)
  }

  /** From the next keyframe on: the output with its audio, or the input without. */
  subscribe(view: View, codec: ViewerCodec, options?: ReaderOptions): Reader {
    if (view === 'input') return this.#inputView.subscribe(codec)
    return codec === 'vp8' ? this.#vp8.subscribe() : this.output.subscribe(options)
  }

  requestKeyframe(view: View, codec: ViewerCodec): void {
    if (view === 'input') this.#inputView.requestKeyframe(codec)
    else (codec === 'vp8' ? this.#vp8 : this.output).requestKeyframe()
  }

  /** How long viewers should buffer frames for smooth playback. */
  playoutDelayMs(view: View, codec: ViewerCodec): number {
    if (view === 'input') return this.#inputView.playoutDelayMs(codec)
    return (codec === 'vp8' ? this.#vp8 : this.output).playoutDelayMs
  }

  /** Takes an output frame and its memory. `made`: drawn by the server, for lack of a publisher's frame. */
  writeOutput(frame: VideoFrame, made: boolean): void {
    this.#vp8.write(frame, made)
    this.output.write(frame, made)
  }

  /** Starts encoders for frames like this one; its memory may be reused after the call. */
  async prepare(frame: VideoFrame): Promise<void> {
    await Promise.all([this.#vp8.prepare(frame), this.output.prepare(frame)])
  }

  /** Takes a frame that is given to the pipeline; it is copied if needed. */
  writeInput(frame: VideoFrame): void {
    this.#inputView.write(frame)
  }

  writeAudio(packet: EncodedPacket): void {
    this.#vp8.writeAudio(packet)
    this.output.writeAudio(packet)
  }

  /** Takes a packet of the publisher's video as it arrived. */
  sourceVideo(packet: EncodedPacket): void {
    this.#inputView.source(packet)
  }

  /** Changes the bitrate of the output in that codec; keeps the old one if that fails. */
  async setBitrate(codec: ViewerCodec, kbps: number): Promise<void> {
    try {
      await (codec === 'vp8' ? this.#vp8 : this.output).setBitrate(kbps)
    } catch (err) {
      this.#log.warn({ err, codec, kbps }, 'could not change the bitrate')
    }
  }

  stats() {
    return {
      output: this.output.stats(),
      vp8: this.#vp8.stats(),
      inputEncoderPid: this.#inputView.encoderPid('h264'),
      inputVp8EncoderPid: this.#inputView.encoderPid('vp8'),
    }
  }

  close(): Promise<Closed> {
    return this.#scope.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}
