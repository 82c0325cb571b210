import { nowMs } from '../../core/clock.ts'
import { AppError } from '../../core/errors.ts'
import { type Colour, DEFAULT_COLOUR, sameColour } from '../../core/media/colour.ts'
import { sameShape, type VideoFrame } from '../../core/media/frame.ts'
import type { EncodedPacket, ViewerCodec } from '../../core/media/packet.ts'
import { type Closed, type Context, type Resource, Scope, sleep } from '../../core/resource.ts'
import { openVideoEncoder, type VideoEncoder } from '../../ffmpeg/encoder/encoder.ts'
import type { Ffmpeg } from '../../ffmpeg/probe.ts'
import type { EncoderSource, StreamEvents } from '../events.ts'
import { encodable, fitWithin, type Size } from '../size.ts'
import { EncoderChoice } from './encoder-choice.ts'
import { Keyframes } from './keyframes.ts'
import { ParkedEncoders } from './parked-encoders.ts'
import { SpareEncoder } from './spare-encoder.ts'
import { WaitingFrames } from './waiting-frames.ts'

export type EncodingOptions = {
  ffmpeg: Ffmpeg
  bitrateKbps: number
  /** Default: H.264. */
  codec?: ViewerCodec
  /** Longest distance between keyframes. */
  keyframeSeconds: number
  /** Larger frames are scaled down to this many pixels. */
  maxPixels?: number
  /** Runs at low CPU priority. */
  background?: boolean
  /** The name under which failures are reported; default `encoder`. */
  source?: EncoderSource
  /** Colours of the frame with this time; pipelines keep those of their input. Default: BT.601, limited range. */
  colourAt?(pts: number): Colour
  events: StreamEvents
}

export type Encoded = {
  onPacket(packet: EncodedPacket): void
  /** The encoder no longer needs the frame's memory. */
  onDone(frame: VideoFrame): void
  /** Another encoder took over. */
  onEncoder(): void
}

/** Time limit for the last packets of a replaced encoder. */
const RETIRE_MS = 1500
/**
 * A stream's start is the busiest moment of its machine: models load, ffmpeg and browsers start. Frames that wait for
 * the CPU then are late but not dropped, and an encoder that keeps up soon works them off. The same holds while a
 * pipeline loads beside the one on air.
 */
const STARTING_MS = 10_000

/**
 * Encodes frames with one codec. The encoder is replaced when the frames' size, format or colours change, and restarted
 * when it dies; frames wait meanwhile, and the oldest are dropped if too many wait.
 */
export class VideoEncoding implements Resource {
  readonly closed: Promise<Closed>
  readonly #options: EncodingOptions
  readonly #out: Encoded
  readonly #context: Context
  readonly #scope: Scope
  readonly #choice: EncoderChoice
  #encoder: VideoEncoder | undefined
  #opening = false
  /** Set while no encoder is wanted, until a frame is written again. */
  #stopped = false
  readonly #retiring = new Set<Promise<Closed>>()
  readonly #parked = new ParkedEncoders((encoder) => void this.#retire(encoder))
  #prepared: SpareEncoder | undefined
  readonly #waiting: WaitingFrames
  readonly #keyframes: Keyframes
  #lastAltered: string | undefined
  #dropped = 0
  #bitrateKbps: number
  /** Until when late frames are not dropped; undefined before the first frame. */
  #patientUntilMs: number | undefined

  constructor(options: EncodingOptions, out: Encoded, context: Context) {
    this.#options = options
    this.#out = out
    this.#context = context
    this.#bitrateKbps = options.bitrateKbps
    this.#keyframes = new Keyframes(options.keyframeSeconds)
    this.#waiting = new WaitingFrames(out.onDone)
    this.#scope = new Scope(context.signal)
    this.closed = this.#scope.closed
    const { ffmpeg, codec = 'h264', source = 'encoder', events } = options
    this.#choice = new EncoderChoice(
      { ffmpeg, codec, source, events, onChanged: () => this.#parked.clear() },
      { signal: this.#scope.signal, log: context.log },
    )
    const off = events.subscribe((event) => {
      if (event.type !== 'pipeline') return
      this.#patientUntilMs = event.status === 'loading' ? Number.POSITIVE_INFINITY : nowMs() + STARTING_MS
    })
    this.#scope.defer(off)
    this.#scope.defer(() => {
      for (let frame = this.#waiting.shift(); frame; frame = this.#waiting.shift()) out.onDone(frame)
    })
    this.#scope.defer(() => this.#encoder?.close())
    this.#scope.defer(() => Promise.all([this.#prepared?.close(), ...this.#retiring]))
    this.#scope.defer(() => this.#parked.clear())
  }

  /** Size of the frames that come out of the encoder in use. */
  get size(): Size | undefined {
    return this.#encoder?.size
  }

  /** True while frames wait for an encoder: their packets are late. */
  get behind(): boolean {
    return this.#waiting.length > 0
  }

  /** Makes the next frame a keyframe, unless there was one a moment ago. */
  requestKeyframe(): void {
    this.#keyframes.request()
  }

  /** Never waits: while the encoder starts or is busy, a frame may be dropped for a newer one. */
  write(frame: VideoFrame): void {
    this.#stopped = false
    this.#patientUntilMs ??= nowMs() + STARTING_MS
    if (this.#opening || this.#waiting.length > 0) {
      this.#waiting.push(frame)
      this.workOff()
    } else this.#send(frame)
  }

  /** Gives the encoder the pending frames, as fast as it takes them; call when it may take more. */
  workOff(): void {
    while (!this.#opening && this.#waiting.length > 0) {
      if (this.#encoder && !this.#encoder.ready && !this.#waiting.late) return
      const frame = this.#waiting.shift()
      if (frame && this.#stopped) this.#out.onDone(frame)
      else if (frame) this.#send(frame)
    }
  }

  /** Ends the encoder, until a frame is written again. */
  stop(): void {
    this.#stopped = true
    const encoder = this.#encoder
    this.#encoder = undefined
    if (encoder) void this.#retire(encoder)
  }

  /** Opens an encoder for frames like this one in advance, so that they need not wait for it. */
  async prepare(frame: VideoFrame): Promise<void> {
    if (this.#scope.signal.aborted || !this.#encoder || sameShape(this.#encoder.shape, frame)) return
    const data = frame.data.slice()
    await this.#prepared?.close()
    this.#prepared = new SpareEncoder((onPacket) => this.#openEncoder(frame, this.#colourOf(frame), onPacket))
    try {
      await this.#prepared.warmUp({ ...frame, data })
    } catch (err) {
      this.#context.log.warn({ err }, 'could not open an encoder ahead')
    }
  }

  /** Changes the bitrate: a new encoder takes over at its first keyframe, without interruption for viewers. */
  async setBitrate(kbps: number): Promise<void> {
    this.#bitrateKbps = kbps
    this.#parked.clear()
    const old = this.#encoder
    if (!old || this.#opening) return
    const encoder = await this.#openEncoder(old.shape, old.colour)
    if (this.#encoder !== old) {
      // Another change already replaced the encoder, with the new bitrate.
      await encoder.close()
      return
    }
    this.#use(encoder)
    await this.#retire(old)
  }

  stats() {
    return {
      targetKbps: this.#bitrateKbps,
      encoder: this.#choice.name,
      dropped: this.#dropped + this.#waiting.dropped + (this.#encoder?.dropped ?? 0) + this.#parked.dropped,
      encoderRestarts: this.#choice.restarts,
      encoderPid: this.#encoder?.pid,
    }
  }

  close(): Promise<Closed> {
    return this.#scope.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #encode(encoder: VideoEncoder, frame: VideoFrame): void {
    encoder.encode(frame, { key: this.#keyframes.take(frame.pts) })
  }

  /**
   * Opens an encoder for a frame while the previous one gives its last packets. The frame is encoded however late it is
   * by then: if frames changed faster than encoders open, none would ever be seen otherwise.
   */
  async #open(first: VideoFrame, previous?: VideoEncoder): Promise<void> {
    this.#opening = true
    let failed = false
    try {
      const colour = this.#colourOf(first)
      const spare = this.#prepared?.take(first, colour, this.#out.onPacket)
      const opening = this.#parked.take(first, colour) ?? spare ?? this.#openEncoder(first, colour)
      const [encoder] = await Promise.all([opening, previous && this.#parked.park(previous)])
      this.#use(encoder)
      if (this.#stopped) this.#out.onDone(first)
      else this.#encode(encoder, first)
    } catch (thrown) {
      failed = true
      await this.#choice.failed(AppError.from(thrown))
    } finally {
      this.#opening = false
    }
    if (failed && this.#scope.signal.aborted) this.#out.onDone(first)
    else if (failed && !this.#encoder) return void this.#open(first)
    this.#waiting.opened()
    this.workOff()
  }

  #send(frame: VideoFrame): void {
    const encoder = this.#encoder
    if (!encoder) void this.#open(frame)
    else if (!sameShape(encoder.shape, frame) || !sameColour(encoder.colour, this.#colourOf(frame))) {
      this.#encoder = undefined
      void this.#open(frame, encoder)
    } else this.#encode(encoder, frame)
  }

  #openEncoder(
    { format, width, height }: VideoEncoder['shape'],
    colour: Colour,
    onPacket = this.#out.onPacket,
  ): Promise<VideoEncoder> {
    const { maxPixels, background = false, codec = 'h264' } = this.#options
    const fitted = maxPixels === undefined ? undefined : fitWithin({ width, height }, maxPixels)
    const altered = encodable(fitted ?? { width, height })
    if (altered) this.#tellAltered({ width, height }, altered)
    const scaledTo = altered ?? fitted
    return openVideoEncoder(
      {
        ffmpeg: this.#choice.ffmpeg,
        codec,
        format,
        width,
        height,
        background,
        ...(scaledTo && { scaledTo }),
        bitrateKbps: this.#bitrateKbps,
        patientUntil: () => this.#patientUntilMs ?? nowMs(),
        colour,
        trackId: 'video',
        onPacket,
        onDone: this.#out.onDone,
      },
      { signal: this.#scope.signal, log: this.#context.log },
    )
  }

  #colourOf({ pts }: VideoFrame): Colour {
    return this.#options.colourAt?.(pts) ?? DEFAULT_COLOUR
  }

  /** Once per resolution, however often its encoder is replaced. */
  #tellAltered(from: Size, to: Size): void {
    const line = `frames of ${from.width}x${from.height} are sent as ${to.width}x${to.height}: accepted are even sides from 16 pixels`
    if (line === this.#lastAltered) return
    this.#lastAltered = line
    this.#options.events.emit({ type: 'log', level: 'warn', line })
  }

  #use(encoder: VideoEncoder): void {
    this.#encoder = encoder
    this.#keyframes.restart()
    this.#out.onEncoder()
    void this.#watch(encoder)
  }

  async #retire(encoder: VideoEncoder): Promise<void> {
    this.#dropped += encoder.dropped
    await Promise.race([encoder.end(), sleep(RETIRE_MS)])
    const closed = encoder.close()
    this.#retiring.add(closed)
    void closed.then(() => this.#retiring.delete(closed))
  }

  async #watch(encoder: VideoEncoder): Promise<void> {
    const started = nowMs()
    const closed = await encoder.closed
    if (this.#encoder !== encoder) return
    this.#encoder = undefined
    this.#dropped += encoder.dropped
    if (this.#scope.signal.aborted) return
    this.#opening = true
    const error = closed.error ?? new AppError('ffmpeg-failed', 'the encoder ended by itself')
    await this.#choice.failed(error, nowMs() - started)
    this.#opening = false
    this.#waiting.opened()
    this.workOff()
  }
}
