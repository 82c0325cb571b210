import { constants, setPriority } from 'node:os'
import type { NutFrame } from '../../codec/nut/format.ts'
import { NutReader } from '../../codec/nut/reader.ts'
import { NutWriter } from '../../codec/nut/writer.ts'
import { BurstQueue } from '../../core/burst-queue.ts'
import { nowMs, TICKS_PER_SECOND } from '../../core/clock.ts'
import { AppError } from '../../core/errors.ts'
import { type Colour, DEFAULT_COLOUR } from '../../core/media/colour.ts'
import { frameBytes, type PixelFormat, sameShape, type VideoFrame } from '../../core/media/frame.ts'
import type { EncodedPacket, VideoTrack } from '../../core/media/packet.ts'
import type { Closed, Context, Resource } from '../../core/resource.ts'
import { type Ffmpeg, NUT_INPUT, NUT_OUTPUT, passFrames } from '../binary.ts'
import { type FfmpegProcess, openFfmpeg } from '../command.ts'
import { HangWatch } from '../hang-watch.ts'
import { Stamps } from '../stamps.ts'
import { encoderArgs } from './args.ts'

export type VideoEncoderOptions = {
  ffmpeg: Ffmpeg
  /** Layout of the frames. */
  format: PixelFormat
  /** In pixels. */
  width: number
  /** In pixels. */
  height: number
  bitrateKbps: number
  /** Size of the frames that come out, even, from 16 pixels; that of the frames unless told. */
  scaledTo?: { width: number; height: number }
  /** Of `yuv420p` frames; BT.601 limited unless told. Others are converted to that. */
  colour?: Colour
  /** Others of this machine go first. */
  background?: boolean
  /** Frames per second, about; default 30. The bit rate is met at this rate and grows with a higher one. */
  fps?: number
  /** `id` of the packets' track. */
  trackId: string
  /** H.264 access units in order, parameter sets in front of each keyframe. */
  onPacket: (packet: EncodedPacket) => void
  /** The encoder needs this frame's memory no longer, encoded or not. */
  onDone?: (frame: VideoFrame) => void
}

/** One ffmpeg that encodes H.264 without holding frames back. */
export interface VideoEncoder extends Resource {
  readonly pid: number
  /** What the frames must be. */
  readonly shape: Readonly<Pick<VideoFrame, 'format' | 'width' | 'height'>>
  /** In pixels, of the frames that come out. */
  readonly size: { width: number; height: number }
  readonly colour: Colour
  /** Frames given up for a newer one because the encoder could not keep up. */
  readonly dropped: number
  /**
   * Encodes a frame, or keeps it until the frames before it are done; when that takes too long a newer one takes its
   * place. `key` asks for a keyframe; the first frame is always one. Throws for a frame of another resolution or pixel format.
   */
  encode(frame: VideoFrame, options?: { key?: boolean }): void
  /** No more frames: the remaining packets come out, then it closes with `ended`. */
  end(): void
}

type Waiting = { frame: VideoFrame; key: boolean }

// Two stamps to a tick: the odd one asks for a keyframe.
const STAMPS_PER_TICK = 2
// More would wait in ffmpeg's own queues, out of reach for a newer frame.
const MAX_IN_FLIGHT = 3
const STUCK_MS = 2000
/** Delay that a burst of frames may cause. */
const MAX_WAIT_MS = 100
const MAX_WAITING = 12

const BACKGROUND = constants.priority.PRIORITY_BELOW_NORMAL
/**
 * Encoding takes longer than all else that is done for a frame together. On a machine with many streams the short steps
 * go first, or each of them would wait for the encoders of all other streams in turn.
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
  readonly #queue = new BurstQueue<Waiting>(MAX_WAIT_MS, MAX_WAITING)
  #process!: FfmpegProcess
  #watch!: HangWatch
  #began = false
  #lastOutMs = nowMs()
  #ended = false

  private constructor(options: VideoEncoderOptions) {
    this.#options = options
    const { width, height, format, trackId, fps = 30, scaledTo } = options
    this.#track = { id: trackId, kind: 'video', codec: 'h264', width, height, ...scaledTo }
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

  end(): void {
    if (this.#ended) return
    this.#ended = true
    for (let last = this.#queue.shift(); last; last = this.#queue.shift()) this.#write(last)
    this.#process.end()
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

  /** What still waited when it ended. */
  #giveUp(): void {
    this.#ended = true
    this.#watch.stop()
    for (let last = this.#queue.shift(); last; last = this.#queue.shift()) this.#options.onDone?.(last.frame)
  }

  #busy(): boolean {
    if (this.#process.backlogBytes > 0) return true
    if (this.#stamps.pending < MAX_IN_FLIGHT) return false
    // A frame that never comes out must not hold up the others for good.
    return nowMs() - this.#lastOutMs < STUCK_MS
  }

  #write({ frame, key }: Waiting): void {
    // The first frame is a keyframe anyway, and ffmpeg counts from its stamp, which so must be even.
    const request = key && this.#began ? 1 : 0
    this.#began = true
    const stamp = this.#stamps.enter(frame.pts) * STAMPS_PER_TICK + request
    const header = this.#writer.frame(stamp, true, frame.data.length)
    this.#process.lend([header, frame.data], () => this.#options.onDone?.(frame))
  }

  #deliver({ pts: stamp, key, data }: NutFrame): void {
    this.#lastOutMs = nowMs()
    this.#watch.gave()
    const pts = this.#stamps.leave(Math.floor(stamp / STAMPS_PER_TICK))
    if (pts !== undefined) this.#options.onPacket({ track: this.#track, data, pts, key })
    this.#next()
  }
}

function yieldToOthers(pid: number, niceness: number): void {
  try {
    setPriority(pid, niceness)
  } catch {
    // It has ended already, which is told elsewhere.
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
