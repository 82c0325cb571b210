import { constants, setPriority } from 'node:os'
import type { NutFrame } from '../../codec/nut/format.ts'
import { NutReader } from '../../codec/nut/reader.ts'
import { NutWriter } from '../../codec/nut/writer.ts'
import { type BurstLimits, BurstQueue } from '../../core/burst-queue.ts'
import { nowMs, TICKS_PER_SECOND } from '../../core/clock.ts'
import { AppError } from '../../core/errors.ts'
import { type Colour, DEFAULT_COLOUR } from '../../core/media/colour.ts'
import { frameBytes, type PixelFormat, sameShape, type VideoFrame } from '../../core/media/frame.ts'
import type { EncodedPacket, VideoTrack, ViewerCodec } from '../../core/media/packet.ts'
import type { Closed, Context, Resource } from '../../core/resource.ts'
import { type Ffmpeg, NUT_INPUT, NUT_OUTPUT, passFrames } from '../binary.ts'
import { type FfmpegProcess, openFfmpeg } from '../command.ts'
import { HangWatch } from '../hang-watch.ts'
import { processorShare } from '../processor-share.ts'
import { Stamps } from '../stamps.ts'
import { encoderArgs } from './args.ts'

export type VideoEncoderOptions = {
  ffmpeg: Ffmpeg
  /** Pixel format of the frames. */
  format: PixelFormat
  /** In pixels. */
  width: number
  /** In pixels. */
  height: number
  bitrateKbps: number
  /** Default: H.264. */
  codec?: ViewerCodec
  /** Size of the output frames, even, at least 16 pixels per side; default: that of the frames. */
  scaledTo?: { width: number; height: number }
  /** Colours of `yuv420p` frames; other formats are converted to these. Default: BT.601, limited range. */
  colour?: Colour
  /** Runs at low CPU priority. */
  background?: boolean
  /** Until then, by `nowMs`, up to 30 frames may wait for a second each before any is dropped; default: no such time. */
  patientUntil?(): number
  /** Approximate frames per second; default 30. The bitrate holds at this rate and grows with a higher one. */
  fps?: number
  /** `id` of the packets' track. */
  trackId: string
  /** Called with packets in order; H.264 has parameter sets before each keyframe. */
  onPacket: (packet: EncodedPacket) => void
  /** The encoder no longer needs this frame's memory, encoded or not. */
  onDone?: (frame: VideoFrame) => void
}

/** One ffmpeg that encodes without delaying frames. */
export interface VideoEncoder extends Resource {
  readonly pid: number
  /** Required form of the frames. */
  readonly shape: Readonly<Pick<VideoFrame, 'format' | 'width' | 'height'>>
  /** Size of the output frames in pixels. */
  readonly size: { width: number; height: number }
  readonly colour: Colour
  /** Frames dropped for a newer one because the encoder could not keep up. */
  readonly dropped: number
  /** Whether the next frame would be encoded at once. Read it when a packet has come. */
  readonly ready: boolean
  /**
   * Encodes a frame, or queues it until the frames before it are done; if that takes too long, a newer one replaces it.
   * `key` requests a keyframe; the first frame always is one. Throws for a frame of another resolution or pixel format.
   */
  encode(frame: VideoFrame, options?: { key?: boolean }): void
  /** Resolves when all packets of the frames so far have come out, or none will. */
  drained(): Promise<void>
  /** Ends the input. Resolves when the remaining packets have come out; then it closes with `ended`. */
  end(): Promise<void>
}

type Waiting = { frame: VideoFrame; key: boolean }

// Two time stamps per tick: the odd one requests a keyframe.
const STAMPS_PER_TICK = 2
// More would wait in ffmpeg's own queues, where a newer frame cannot replace them.
const MAX_IN_FLIGHT = 3
const STUCK_MS = 2000
/**
 * A hardware encoder opens its session with the first frame; without a limit a driver that hangs there would never be
 * noticed.
 */
const FIRST_PACKET_MS = 5000
/** Delay that a burst of frames may cause. */
const LIMITS = { waitMs: 100, length: 12 }
/** The same for patient encoders, which return to `LIMITS` in this time, in ms, and not with one large gap. */
const PATIENT_LIMITS = { waitMs: 1000, length: 30 }
const RETURN_MS = 4000

const BACKGROUND = constants.priority.PRIORITY_BELOW_NORMAL
/**
 * Encoding takes longer than all other work on a frame. On a machine with many streams the short steps have priority;
 * otherwise each would wait for the encoders of all other streams.
 */
const LONGEST_STEP = 5

/** Resolves when ffmpeg runs. */
export async function openVideoEncoder(options: VideoEncoderOptions, context: Context): Promise<VideoEncoder> {
  const { width, height, scaledTo } = options
  const sides = scaledTo ? [scaledTo.width, scaledTo.height] : [width, height]
  const good = sides.every((side) => Number.isInteger(side) && side >= 16 && side % 2 === 0)
  if (!good) {
    const message = `the encoder's size is ${sides.join('x')}; accepted are even sides from 16 pixels`
    throw new AppError('internal', message)
  }
  return FfmpegVideoEncoder.open(options, context)
}

class FfmpegVideoEncoder implements VideoEncoder {
  readonly #options: VideoEncoderOptions
  readonly #track: VideoTrack
  readonly #stamps = new Stamps({ increasing: true })
  readonly #writer: NutWriter
  readonly #reader = new NutReader({ onFrame: (frame) => this.#deliver(frame) })
  readonly #queue: BurstQueue<Waiting>
  #process!: FfmpegProcess
  #watch!: HangWatch
  #began = false
  #drained: PromiseWithResolvers<void> | undefined
  #lastOutMs = nowMs()
  #ended = false
  readonly #empty = Promise.withResolvers<void>()

  private constructor(options: VideoEncoderOptions) {
    this.#options = options
    const { width, height, format, trackId, fps = 30, scaledTo, codec = 'h264' } = options
    this.#queue = new BurstQueue((now) => limitsFor((options.patientUntil?.() ?? 0) - now))
    this.#track = { id: trackId, kind: 'video', codec, width, height, ...scaledTo }
    const timeBase = { num: 1, den: TICKS_PER_SECOND * STAMPS_PER_TICK }
    this.#writer = new NutWriter({ kind: 'video', codec: format, width, height, frameRate: fps }, timeBase)
  }

  static async open(options: VideoEncoderOptions, context: Context): Promise<VideoEncoder> {
    const encoder = new FfmpegVideoEncoder(options)
    const { input, output } = commandLine(options)
    encoder.#process = await openFfmpeg(
      {
        name: 'encoder',
        path: options.ffmpeg.path,
        input,
        output,
        inputBytes: frameBytes(options.format, options.width, options.height),
        sink: encoder.#reader,
        onDrain: () => encoder.#next(),
      },
      context,
    )
    encoder.#watch = new HangWatch({
      due: () => encoder.#stamps.pending > 0,
      share: () => processorShare(encoder.pid),
      firstMs: FIRST_PACKET_MS,
      onHung: (ms) => encoder.#process.giveUp(`took frames and gave nothing for ${ms} ms`),
    })
    yieldToOthers(encoder.pid, options.background ? BACKGROUND : LONGEST_STEP)
    void encoder.closed.then(() => encoder.#giveUp())
    encoder.#process.write(encoder.#writer.header())
    return encoder
  }

  get pid(): number {
    return this.#process.pid
  }

  get closed(): Promise<Closed> {
    return this.#process.closed
  }

  get shape(): VideoEncoder['shape'] {
    const { format, width, height } = this.#options
    return { format, width, height }
  }

  get size(): VideoEncoder['size'] {
    const { width, height, scaledTo } = this.#options
    return scaledTo ?? { width, height }
  }

  get colour(): Colour {
    return this.#options.colour ?? DEFAULT_COLOUR
  }

  get dropped(): number {
    return this.#queue.dropped
  }

  async drained(): Promise<void> {
    if (this.#idle) return
    this.#drained ??= Promise.withResolvers<void>()
    await Promise.race([this.#drained.promise, this.closed])
  }

  get #idle(): boolean {
    return this.#queue.length === 0 && this.#stamps.pending === 0
  }

  get ready(): boolean {
    return this.#queue.length === 0 && !this.#busy()
  }

  encode(frame: VideoFrame, { key = false }: { key?: boolean } = {}): void {
    const { format, width, height } = this.#options
    if (!sameShape(frame, this.#options) || frame.data.length !== frameBytes(format, width, height)) {
      const got = `a ${frame.format} frame of ${frame.width}x${frame.height} in ${frame.data.length} bytes`
      throw new AppError('internal', `the encoder got ${got}; accepted are ${format} frames of ${width}x${height}`)
    }
    if (this.#ended) {
      this.#options.onDone?.(frame)
      return
    }
    const waiting = { frame, key }
    for (const given of this.#queue.push(waiting)) {
      if (given.key) waiting.key = true
      this.#options.onDone?.(given.frame)
    }
    this.#next()
  }

  end(): Promise<void> {
    if (this.#ended) return this.#empty.promise
    this.#ended = true
    for (let last = this.#queue.shift(); last; last = this.#queue.shift()) this.#write(last)
    if (this.#stamps.pending === 0) this.#empty.resolve()
    this.#process.end()
    return this.#empty.promise
  }

  close(): Promise<Closed> {
    return this.#process.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #next(): void {
    while (this.#queue.length > 0 && !this.#busy()) {
      const waiting = this.#queue.shift()
      if (waiting) this.#write(waiting)
    }
  }

  /** Drops the frames that still waited when it ended. */
  #giveUp(): void {
    this.#ended = true
    this.#empty.resolve()
    this.#watch.stop()
    for (let last = this.#queue.shift(); last; last = this.#queue.shift()) this.#options.onDone?.(last.frame)
  }

  #busy(): boolean {
    if (this.#process.backlogBytes > 0) return true
    if (this.#stamps.pending < MAX_IN_FLIGHT) return false
    // A frame that never comes out must not block the others for ever.
    return nowMs() - this.#lastOutMs < STUCK_MS
  }

  #write({ frame, key }: Waiting): void {
    // The first frame is a keyframe anyway, and ffmpeg counts from its time stamp, which must be even.
    const request = key && this.#began ? 1 : 0
    this.#began = true
    const stamp = this.#stamps.enter(frame.pts) * STAMPS_PER_TICK + request
    this.#watch.took()
    const header = this.#writer.frame(stamp, true, frame.data.length)
    this.#process.lend([header, frame.data], () => this.#options.onDone?.(frame))
  }

  #deliver({ pts: stamp, key, data }: NutFrame): void {
    this.#lastOutMs = nowMs()
    const pts = this.#stamps.leave(Math.floor(stamp / STAMPS_PER_TICK))
    this.#watch.gave(this.#stamps.pending > 0)
    if (pts !== undefined) this.#options.onPacket({ track: this.#track, data, pts, key })
    if (this.#ended && this.#stamps.pending === 0) this.#empty.resolve()
    this.#next()
    if (!this.#idle) return
    this.#drained?.resolve()
    this.#drained = undefined
  }
}

function limitsFor(patientMs: number): BurstLimits {
  if (patientMs <= 0) return LIMITS
  const share = Math.min(1, patientMs / RETURN_MS)
  const between = (least: number, most: number) => Math.round(least + share * (most - least))
  return {
    waitMs: between(LIMITS.waitMs, PATIENT_LIMITS.waitMs),
    length: between(LIMITS.length, PATIENT_LIMITS.length),
    spread: true,
  }
}

function yieldToOthers(pid: number, niceness: number): void {
  try {
    setPriority(pid, niceness)
  } catch {
    // It has already ended, which is reported elsewhere.
  }
}

function commandLine({ ffmpeg, fps = 30, ...shape }: VideoEncoderOptions) {
  const { input, filters, output } = encoderArgs(ffmpeg, { ...shape, fps })
  return {
    input: ['-copyts', ...input, '-threads', '1', ...NUT_INPUT],
    output: [
      ...['-an', '-vf', filters.join(','), ...passFrames(ffmpeg)],
      ...['-enc_time_base', `1:${TICKS_PER_SECOND * STAMPS_PER_TICK}`],
      ...output,
      ...['-force_key_frames', `expr:eq(mod(round(t*${TICKS_PER_SECOND * STAMPS_PER_TICK}),2),1)`],
      ...NUT_OUTPUT,
    ],
  }
}
