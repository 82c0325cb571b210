import { Broadcast, type Reader, type ReaderOptions } from '../../core/broadcast.ts'
import { RateMeter } from '../../core/counters.ts'
import type { VideoFrame } from '../../core/media/frame.ts'
import type { FramePool } from '../../core/media/frame-pool.ts'
import type { EncodedPacket } from '../../core/media/packet.ts'
import { type Closed, type Context, type Resource, Scope } from '../../core/resource.ts'
import type { LatencyTracker } from '../latency.ts'
import { OutputJitter } from './jitter.ts'
import { type EncodingOptions, VideoEncoding } from './video-encoding.ts'

export type OutputOptions = EncodingOptions & {
  latency?: LatencyTracker
  /** A reader needs a keyframe; the encoder makes one without being asked. */
  onKeyframeWanted?(): void
  /** The last reader has left. */
  onUnread?(): void
  /** Takes back the memory of frames. */
  memory: FramePool
}

/** Limit of the remembered times of made frames. */
const MAX_MADE = 128

/**
 * One output of a stream: raw frames are encoded once and broadcast together with audio. Readers start at a keyframe,
 * and get another one when the encoder is replaced.
 */
export class Output implements Resource {
  readonly closed: Promise<Closed>
  /** The newest frame that was written. */
  lastFrame: VideoFrame | undefined
  readonly #options: OutputOptions
  readonly #scope: Scope
  readonly #broadcast: Broadcast
  readonly #encoding: VideoEncoding
  readonly #frames = new RateMeter()
  readonly #bytes = new RateMeter()
  readonly #jitter = new OutputJitter()
  /** Times of frames that say nothing about the publisher's jitter. */
  readonly #made = new Set<number>()
  /** Whether packets are passed on without an encoder. */
  #passing = false
  /** Whether the encoder is done with `lastFrame`. */
  #lastDone = false
  #lastPacketPts = Number.NEGATIVE_INFINITY

  constructor(options: OutputOptions, context: Context) {
    this.#options = options
    this.#scope = new Scope(context.signal)
    this.closed = this.#scope.closed
    this.#broadcast = new Broadcast(
      () => this.requestKeyframe(),
      () => options.onUnread?.(),
    )
    this.#scope.defer(() => this.#broadcast.end())
    this.#scope.defer(() => {
      if (this.lastFrame && this.#lastDone) options.memory.give(this.lastFrame.data)
      this.lastFrame = undefined
    })
    const out = {
      onPacket: (packet: EncodedPacket) => this.#onPacket(packet),
      onDone: (frame: VideoFrame) => this.#done(frame),
      onEncoder: () => this.#jitter.restart(),
    }
    const inside = { signal: this.#scope.signal, log: context.log }
    this.#encoding = this.#scope.use(new VideoEncoding(options, out, inside))
  }

  /** A reader of everything that leaves: video from the next keyframe on, and Opus. */
  subscribe(options: ReaderOptions = {}): Reader {
    return this.#broadcast.subscribe(options)
  }

  get readers(): number {
    return this.#broadcast.readers
  }

  /** Time of the newest encoded frame. */
  get lastPacketPts(): number {
    return this.#lastPacketPts
  }

  requestKeyframe(): void {
    this.#encoding.requestKeyframe()
    this.#options.onKeyframeWanted?.()
  }

  /** Sends one frame. `made`: drawn by the server, for lack of a publisher's frame. */
  write(frame: VideoFrame, made = false): void {
    this.#passing = false
    if (this.#made.size > MAX_MADE) this.#made.clear()
    if (made) this.#made.add(frame.pts)
    if (this.#scope.signal.aborted) {
      this.#options.memory.give(frame.data)
      return
    }
    if (this.lastFrame && this.#lastDone) this.#options.memory.give(this.lastFrame.data)
    this.lastFrame = frame
    this.#lastDone = false
    this.#encoding.write(frame)
  }

  /** Opens an encoder for frames like this one in advance, so that they need not wait for it. */
  prepare(frame: VideoFrame): Promise<void> {
    return this.#encoding.prepare(frame)
  }

  /** Changes the bitrate, without interruption for viewers. */
  setBitrate(kbps: number): Promise<void> {
    return this.#encoding.setBitrate(kbps)
  }

  /**
   * Sends video that is already encoded, from its next keyframe on; the encoder ends until a frame is written again.
   */
  pass(packet: EncodedPacket): void {
    if (this.#scope.signal.aborted) return
    if (!this.#passing && !packet.key) return
    this.#passing = true
    this.#encoding.stop()
    this.#onPacket(packet)
  }

  writeAudio(packet: EncodedPacket): void {
    this.#bytes.add(packet.data.length)
    this.#broadcast.write(packet)
  }

  /** How long viewers should buffer frames for smooth playback. */
  get playoutDelayMs(): number {
    return this.#jitter.delayMs
  }

  stats() {
    const size = this.#encoding.size ?? this.lastFrame
    return {
      width: size?.width ?? 0,
      height: size?.height ?? 0,
      fps: this.#frames.perSecond(),
      kbps: (this.#bytes.perSecond() * 8) / 1000,
      readersDropped: this.#broadcast.dropped,
      ...this.#encoding.stats(),
    }
  }

  close(): Promise<Closed> {
    return this.#scope.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** The newest frame is kept for still images. */
  #done(frame: VideoFrame): void {
    if (frame === this.lastFrame) this.#lastDone = true
    else this.#options.memory.give(frame.data)
  }

  #onPacket(packet: EncodedPacket): void {
    if (packet.pts <= this.#lastPacketPts) return
    this.#lastPacketPts = packet.pts
    this.#options.latency?.encoded(packet.pts)
    // A frame that waited for an encoder says nothing about the publisher.
    if (!this.#made.delete(packet.pts) && !this.#encoding.behind) this.#jitter.add(packet.pts)
    this.#frames.add()
    this.#bytes.add(packet.data.length)
    this.#broadcast.write(packet)
    this.#encoding.workOff()
  }
}
