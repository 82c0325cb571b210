import { Broadcast, type Reader } from '../../core/broadcast.ts'
import { BurstQueue } from '../../core/burst-queue.ts'
import { nowMs, TICKS_PER_SECOND } from '../../core/clock.ts'
import { RateMeter } from '../../core/counters.ts'
import { AppError } from '../../core/errors.ts'
import { DEFAULT_COLOUR, sameColour } from '../../core/media/colour.ts'
import { sameShape, type VideoFrame } from '../../core/media/frame.ts'
import type { FramePool } from '../../core/media/frame-pool.ts'
import type { EncodedPacket } from '../../core/media/packet.ts'
import { type Closed, type Context, type Resource, Scope, sleep } from '../../core/resource.ts'
import { openVideoEncoder, type VideoEncoder } from '../../ffmpeg/encoder/encoder.ts'
import { withNextEncoder } from '../../ffmpeg/encoder/trial.ts'
import type { Ffmpeg } from '../../ffmpeg/probe.ts'
import type { StreamEvents } from '../events.ts'
import type { LatencyTracker } from '../latency.ts'
import { encodable, fitWithin, type Size } from '../size.ts'
import { OutputJitter } from './jitter.ts'

export type OutputOptions = {
  ffmpeg: Ffmpeg
  bitrateKbps: number
  /** Longest distance between keyframes. */
  keyframeSeconds: number
  latency?: LatencyTracker
  /** Larger frames leave scaled down to this many pixels. */
  maxPixels?: number
  /** Gives way to whatever else the machine does. */
  background?: boolean
  /** The name under which its failures are told; `encoder` unless told. */
  source?: 'encoder' | 'input-view'
  /** Nobody reads any more. */
  onUnread?(): void
  /** Where the memory of frames goes back to. */
  memory: FramePool
  events: StreamEvents
}

/** Keyframes asked for by many viewers at once are made one. */
const MIN_KEYFRAME_DISTANCE = 0.2 * TICKS_PER_SECOND
/** An encoder that has worked for as long has proved itself. */
const RAN_WELL_MS = 10_000
/** An encoder that fails this often in a row gives way to the next one that works. */
const MAX_FAILURES = 2
/** Between two tries of the last one. */
const MAX_PAUSE_MS = 10_000
/** A publisher begins with a burst, which an encoder that opens meanwhile works off in a moment. */
const MAX_OPENING_MS = 500
const MAX_WAITING = 12
/** Frames on their way that are remembered as made. */
const MAX_MADE = 64
/** For the last packets of an encoder that is replaced. */
const RETIRE_MS = 500

/**
 * The way out of a stream: raw frames are encoded once and broadcast beside the audio. The encoder is replaced when
 * the frames change shape and restarted when it dies; readers see a keyframe and go on.
 */
export class Output implements Resource {
  readonly closed: Promise<Closed>
  /** The newest frame that was sent on its way. */
  lastFrame: VideoFrame | undefined
  /** Of `yuv420p` frames; pipelines keep that of their input. */
  colour = DEFAULT_COLOUR
  readonly #options: OutputOptions
  readonly #context: Context
  readonly #scope: Scope
  readonly #broadcast: Broadcast
  readonly #frames = new RateMeter()
  readonly #bytes = new RateMeter()
  readonly #jitter = new OutputJitter()
  /** Times of frames that say nothing of how evenly the publisher's leave. */
  readonly #made = new Set<number>()
  /** With the encoder that works for this stream. */
  #ffmpeg: Ffmpeg
  #encoder: VideoEncoder | undefined
  #opening = false
  /** The encoder has done with `lastFrame`. */
  #lastDone = false
  /** Frames for the encoder that opens. */
  readonly #waiting = new BurstQueue<VideoFrame>(MAX_OPENING_MS, MAX_WAITING)
  #keyframeWanted = true
  #lastKeyPts = Number.NEGATIVE_INFINITY
  #lastPacketPts = Number.NEGATIVE_INFINITY
  #lastAltered: string | undefined
  #failures = 0
  #restarts = 0
  #dropped = 0
  #bitrateKbps: number

  constructor(options: OutputOptions, context: Context) {
    this.#options = options
    this.#context = context
    this.#ffmpeg = options.ffmpeg
    this.#bitrateKbps = options.bitrateKbps
    this.#scope = new Scope(context.signal)
    this.closed = this.#scope.closed
    this.#broadcast = new Broadcast(
      () => this.requestKeyframe(),
      () => options.onUnread?.(),
    )
    this.#scope.defer(() => this.#broadcast.end())
    this.#scope.defer(() => {
      for (let frame = this.#waiting.shift(); frame; frame = this.#waiting.shift()) this.#done(frame)
      if (this.lastFrame && this.#lastDone) options.memory.give(this.lastFrame.data)
      this.lastFrame = undefined
    })
    this.#scope.defer(() => this.#encoder?.close())
  }

  /** A view of everything that leaves: H.264 from the next keyframe on, and Opus. */
  subscribe(): Reader {
    return this.#broadcast.subscribe()
  }

  get readers(): number {
    return this.#broadcast.readers
  }

  requestKeyframe(): void {
    this.#keyframeWanted = true
  }

  /**
   * Sends one frame. Never waits: frames that come while the encoder starts or is busy may be lost for a newer one.
   * `made`: drawn for want of a frame of the publisher.
   */
  write(frame: VideoFrame, made = false): void {
    if (this.#made.size > MAX_MADE) this.#made.clear()
    if (made) this.#made.add(frame.pts)
    if (this.#scope.signal.aborted) {
      this.#options.memory.give(frame.data)
      return
    }
    if (this.lastFrame && this.#lastDone) this.#options.memory.give(this.lastFrame.data)
    this.lastFrame = frame
    this.#lastDone = false
    const encoder = this.#encoder
    if (!encoder || this.#opening) {
      this.#wait(frame)
      if (!this.#opening) void this.#open(frame)
      return
    }
    if (!sameShape(encoder.shape, frame) || !sameColour(encoder.colour, this.colour)) {
      this.#encoder = undefined
      this.#wait(frame)
      void this.#open(frame, encoder)
      return
    }
    this.#encode(encoder, frame)
  }

  /** Goes on with another bitrate: a new encoder takes over at its first keyframe, and viewers notice nothing. */
  async setBitrate(kbps: number): Promise<void> {
    this.#bitrateKbps = kbps
    const old = this.#encoder
    if (!old || this.#opening) return
    const encoder = await this.#openEncoder(old.shape)
    if (this.#encoder !== old) {
      // Something else replaced it meanwhile, with the new bitrate.
      await encoder.close()
      return
    }
    this.#use(encoder)
    await this.#retire(old)
  }

  writeAudio(packet: EncodedPacket): void {
    this.#bytes.add(packet.data.length)
    this.#broadcast.write(packet)
  }

  /** How long viewers should hold frames back so that they are shown evenly. */
  get playoutDelayMs(): number {
    return this.#jitter.delayMs
  }

  stats() {
    const size = this.#encoder?.size ?? this.lastFrame
    return {
      width: size?.width ?? 0,
      height: size?.height ?? 0,
      fps: this.#frames.perSecond(),
      kbps: (this.#bytes.perSecond() * 8) / 1000,
      targetKbps: this.#bitrateKbps,
      encoder: this.#ffmpeg.videoEncoder,
      dropped: this.#dropped + this.#waiting.dropped + (this.#encoder?.dropped ?? 0),
      readersDropped: this.#broadcast.dropped,
      encoderRestarts: this.#restarts,
      encoderPid: this.#encoder?.pid,
    }
  }

  close(): Promise<Closed> {
    return this.#scope.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #wait(frame: VideoFrame): void {
    for (const given of this.#waiting.push(frame)) this.#done(given)
  }

  #encode(encoder: VideoEncoder, frame: VideoFrame): void {
    const sinceKey = frame.pts - this.#lastKeyPts
    const due = sinceKey >= this.#options.keyframeSeconds * TICKS_PER_SECOND
    const key = due || (this.#keyframeWanted && sinceKey >= MIN_KEYFRAME_DISTANCE)
    if (key) {
      this.#keyframeWanted = false
      this.#lastKeyPts = frame.pts
    }
    encoder.encode(frame, { key })
  }

  async #open(shape: VideoFrame, previous?: VideoEncoder): Promise<void> {
    this.#opening = true
    try {
      // What the old encoder still holds comes out before the first frame of the new one.
      if (previous) await this.#retire(previous)
      this.#use(await this.#openEncoder(shape))
    } catch (thrown) {
      await this.#failed(AppError.from(thrown))
    } finally {
      this.#opening = false
    }
    // One of another shape has the next encoder opened, and those after it wait for that.
    for (let left = this.#waiting.length; left > 0; left--) {
      const frame = this.#waiting.shift()
      if (frame) this.write(frame)
    }
  }

  #openEncoder({ format, width, height }: VideoEncoder['shape']): Promise<VideoEncoder> {
    const { maxPixels, background = false } = this.#options
    const fitted = maxPixels === undefined ? undefined : fitWithin({ width, height }, maxPixels)
    const altered = encodable(fitted ?? { width, height })
    if (altered) this.#tellAltered({ width, height }, altered)
    const scaledTo = altered ?? fitted
    return openVideoEncoder(
      {
        ffmpeg: this.#ffmpeg,
        format,
        width,
        height,
        background,
        ...(scaledTo && { scaledTo }),
        bitrateKbps: this.#bitrateKbps,
        colour: this.colour,
        trackId: 'video',
        onPacket: (packet) => this.#onPacket(packet),
        onDone: (frame) => this.#done(frame),
      },
      { signal: this.#scope.signal, log: this.#context.log },
    )
  }

  /** Once for each resolution, however often its encoder is replaced. */
  #tellAltered(from: Size, to: Size): void {
    const line = `frames of ${from.width}x${from.height} are sent as ${to.width}x${to.height}: accepted are even sides from 16 pixels`
    if (line === this.#lastAltered) return
    this.#lastAltered = line
    this.#options.events.emit({ type: 'log', level: 'warn', line })
  }

  #use(encoder: VideoEncoder): void {
    this.#encoder = encoder
    this.#lastKeyPts = Number.NEGATIVE_INFINITY
    this.#jitter.restart()
    void this.#watch(encoder)
  }

  async #retire(encoder: VideoEncoder): Promise<void> {
    this.#dropped += encoder.dropped
    encoder.end()
    await Promise.race([encoder.closed, sleep(RETIRE_MS)])
    await encoder.close()
  }

  async #watch(encoder: VideoEncoder): Promise<void> {
    const started = nowMs()
    const closed = await encoder.closed
    if (this.#encoder !== encoder) return
    this.#encoder = undefined
    this.#dropped += encoder.dropped
    if (this.#scope.signal.aborted) return
    if (nowMs() - started > RAN_WELL_MS) this.#failures = 0
    this.#opening = true
    await this.#failed(closed.error ?? new AppError('ffmpeg-failed', 'the encoder ended by itself'))
    this.#opening = false
  }

  async #failed(error: AppError): Promise<void> {
    if (this.#scope.signal.aborted) return
    this.#failures++
    this.#restarts++
    const { events, source = 'encoder' } = this.#options
    this.#context.log.warn({ err: error, source, failures: this.#failures }, 'encoder failed')
    events.emit({ type: 'error', source, message: error.message })
    if (this.#failures >= MAX_FAILURES) await this.#changeEncoder(error)
    if (this.#scope.signal.aborted) return
    events.emit({ type: 'restart', source, count: this.#restarts })
    const pauseMs = Math.min(MAX_PAUSE_MS, 100 * 2 ** Math.max(0, this.#failures - 1))
    await sleep(pauseMs, this.#scope.signal).catch(() => {})
  }

  /** Hardware may refuse one more session, or its driver reset: the next best encoder goes on, for this stream. */
  async #changeEncoder({ message }: AppError): Promise<void> {
    const next = await withNextEncoder(this.#ffmpeg, this.#context.log)
    if (!next) return
    const line = `the encoder ${this.#ffmpeg.videoEncoder} fails on this stream, ${next.videoEncoder} takes over: ${message}`
    this.#context.log.warn({ from: this.#ffmpeg.videoEncoder, to: next.videoEncoder }, 'the encoder is changed')
    this.#options.events.emit({ type: 'log', level: 'warn', line })
    this.#ffmpeg = next
    this.#failures = 0
  }

  /** The newest frame is kept: it can be asked for as a still. */
  #done(frame: VideoFrame): void {
    if (frame === this.lastFrame) this.#lastDone = true
    else this.#options.memory.give(frame.data)
  }

  #onPacket(packet: EncodedPacket): void {
    if (packet.pts <= this.#lastPacketPts) return
    this.#lastPacketPts = packet.pts
    this.#options.latency?.encoded(packet.pts)
    if (!this.#made.delete(packet.pts)) this.#jitter.add(packet.pts)
    this.#frames.add()
    this.#bytes.add(packet.data.length)
    this.#broadcast.write(packet)
  }
}
