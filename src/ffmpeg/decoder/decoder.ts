import type { NutFrame } from '../../codec/nut/format.ts'
import { NutReader } from '../../codec/nut/reader.ts'
import { NutWriter } from '../../codec/nut/writer.ts'
import type { SourceForm } from '../../codec/source-form.ts'
import { nowMs, TICKS_PER_SECOND } from '../../core/clock.ts'
import { AppError } from '../../core/errors.ts'
import { frameBytes, type PixelFormat, type VideoFrame } from '../../core/media/frame.ts'
import type { FrameMemory } from '../../core/media/frame-pool.ts'
import type { EncodedPacket, VideoTrack } from '../../core/media/packet.ts'
import type { Closed, Context, Resource } from '../../core/resource.ts'
import { type Ffmpeg, followsSizes, NUT_INPUT, NUT_OUTPUT, passFrames } from '../binary.ts'
import { type FfmpegProcess, openFfmpeg } from '../command.ts'
import { HangWatch } from '../hang-watch.ts'
import { processorShare } from '../processor-share.ts'
import { Stamps } from '../stamps.ts'
import { decoderFilters } from './filters.ts'
import { type Size, SizeTimeline } from './sizes.ts'

export type VideoDecoderOptions = {
  ffmpeg: Ffmpeg
  track: VideoTrack
  /** Pixel format of the frames. */
  format: PixelFormat
  /**
   * Size of the frames in pixels, even. Default: the size in each packet's track, or else that of the first frame; an
   * odd last row or column is cut off.
   */
  size?: { width: number; height: number }
  /** How frames fit `size`: stretched (default), or scaled to cover it and cropped at the centre. */
  fit?: 'stretch' | 'cover'
  /** The size that shows the source's frames in their proportions, if it is not their own; `cover` keeps these. */
  shown?: { width: number; height: number }
  /** What the source declares about its frames, valid from first to last. */
  source?: SourceForm | undefined
  /** Called with each frame in presentation order, with the `pts` of its packet. */
  onFrame: (frame: VideoFrame) => void
  /** Allocates frame memory, and takes back memory that no frame comes of; default: new memory. */
  memory?: FrameMemory
}

/** One ffmpeg that decodes. Damaged packets cost frames, but do not end the decoder. */
export interface VideoDecoder extends Resource {
  readonly pid: number
  /** The track that it decodes. */
  readonly track: VideoTrack
  /** False if the packet was dropped because too much is waiting. Everything is then dropped up to a keyframe. */
  write(packet: EncodedPacket): boolean
  /**
   * Takes any number of packets from a keyframe on: those from before this decoder. Later packets may wait for them.
   */
  replay(packets: readonly EncodedPacket[]): void
  /** Ends the input: the remaining frames come out, then it closes with `ended`. */
  end(): void
}

const MAX_BACKLOG_BYTES = 8 * 1024 * 1024
const MAX_PENDING_PACKETS = 120
const ALIVE_MS = 1000
/** A decoder counts as late only if this many more packets than usual are waiting. */
const DUE_PACKETS = 2
/** 1080p with 24 bits per pixel. The actual size is known only when frames come. */
const USUAL_FRAME_BYTES = 1920 * 1080 * 3

/** Resolves when ffmpeg runs; each frame comes out as soon as its packet is decoded. */
export async function openVideoDecoder(options: VideoDecoderOptions, context: Context): Promise<VideoDecoder> {
  if (options.size) checkSize(options.size)
  return FfmpegVideoDecoder.open(options, context)
}

class FfmpegVideoDecoder implements VideoDecoder {
  readonly #options: VideoDecoderOptions
  readonly #stamps = new Stamps()
  readonly #writer: NutWriter
  readonly #reader: NutReader
  #process!: FfmpegProcess
  #watch!: HangWatch
  /** Packets waiting right after a frame has come out: B-frames delay output permanently. */
  #usuallyPending = 0
  readonly #sizes = new SizeTimeline()
  #began = false
  /** Additional packets that may wait. */
  #replayed = { packets: 0, bytes: 0 }
  #waitingForKey = false
  #lastFrameMs = Number.NEGATIVE_INFINITY

  private constructor(options: VideoDecoderOptions) {
    this.#options = options
    const { memory } = options
    this.#reader = new NutReader({ onFrame: (frame) => this.#deliver(frame), ...(memory && { memory }) })
    const { codec, width = 16, height = 16 } = options.track
    // The decoder takes the size from the bitstream; the container must only not say zero.
    this.#writer = new NutWriter({ kind: 'video', codec, width, height }, { num: 1, den: TICKS_PER_SECOND })
  }

  static async open(options: VideoDecoderOptions, context: Context): Promise<VideoDecoder> {
    const decoder = new FfmpegVideoDecoder(options)
    decoder.#process = await openFfmpeg(
      {
        name: 'decoder',
        path: options.ffmpeg.path,
        input: ['-copyts', '-threads', '1', ...NUT_INPUT],
        output: outputArgs(options),
        outputBytes: USUAL_FRAME_BYTES,
        sink: decoder.#reader,
      },
      context,
    )
    decoder.#watch = new HangWatch({
      due: () => decoder.#stamps.pending > decoder.#usuallyPending + DUE_PACKETS,
      share: () => processorShare(decoder.pid),
      onHung: (ms) => decoder.#process.giveUp(`took packets and gave nothing for ${ms} ms`),
    })
    void decoder.closed.then(() => {
      decoder.#watch.stop()
      decoder.#reader.close()
    })
    decoder.#process.write(decoder.#writer.header())
    return decoder
  }

  get pid(): number {
    return this.#process.pid
  }

  get track(): VideoTrack {
    return this.#options.track
  }

  get closed(): Promise<Closed> {
    return this.#process.closed
  }

  write(packet: EncodedPacket): boolean {
    if (!this.#began && !packet.key) return false
    if (this.#waitingForKey && !packet.key) return false
    this.#waitingForKey = this.#overloaded()
    if (this.#waitingForKey) return false
    this.#send(packet)
    return true
  }

  replay(packets: readonly EncodedPacket[]): void {
    for (const packet of packets) {
      this.#replayed.packets++
      this.#replayed.bytes += packet.data.length
      this.#send(packet)
    }
  }

  end(): void {
    this.#process.end()
  }

  close(): Promise<Closed> {
    return this.#process.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #send(packet: EncodedPacket): void {
    this.#began = true
    if (packet.key && packet.track.kind === 'video') this.#sizes.note(packet.pts, packet.track)
    const stamp = this.#stamps.enter(packet.pts, packet.dts)
    this.#watch.took()
    this.#process.write(this.#writer.frame(stamp, packet.key, packet.data.length), packet.data)
  }

  #overloaded(): boolean {
    const { backlogBytes } = this.#process
    const { pending } = this.#stamps
    if (pending < MAX_PENDING_PACKETS && backlogBytes <= MAX_BACKLOG_BYTES) {
      this.#replayed = { packets: 0, bytes: 0 }
      return false
    }
    if (backlogBytes > MAX_BACKLOG_BYTES + this.#replayed.bytes) return true
    if (pending < MAX_PENDING_PACKETS + this.#replayed.packets) return false
    // Many packets without a frame are damaged, or the decoder is starting: there is no backlog to drop.
    if (nowMs() - this.#lastFrameMs < ALIVE_MS) return true
    if (this.#process.backlogBytes === 0) this.#stamps.clear()
    return false
  }

  #deliver({ stream, pts: stamp, data }: NutFrame): void {
    this.#lastFrameMs = nowMs()
    const pts = this.#stamps.leave(stamp)
    this.#usuallyPending = this.#stamps.pending
    this.#watch.gave(this.#usuallyPending > 0)
    const { format, onFrame, memory } = this.#options
    if (stream.kind !== 'video' || pts === undefined) {
      memory?.give(data)
      return
    }
    // The declared size may be wrong; the number of bytes is not.
    const fits = (size: Size | undefined) => size && data.length === frameBytes(format, size.width, size.height)
    const size = [this.#options.size, this.#sizes.at(pts), stream].find(fits)
    if (!size) {
      const got = `${data.length} bytes for a ${format} frame of ${stream.width}x${stream.height}`
      throw new AppError('ffmpeg-failed', `ffmpeg (decoder) gave ${got}`)
    }
    const { width, height } = size
    onFrame({ data, format, width, height, pts })
  }
}

function outputArgs(options: VideoDecoderOptions): string[] {
  return [
    '-an',
    '-vf',
    decoderFilters(options),
    ...passFrames(options.ffmpeg),
    ...(followsSizes(options.ffmpeg) ? ['-autoscale', '0'] : []),
    '-enc_time_base',
    `1:${TICKS_PER_SECOND}`,
    // The encoder of raw video also has threads, each of which would delay a frame.
    '-threads',
    '1',
    '-c:v',
    'rawvideo',
    '-pix_fmt',
    options.format,
    ...NUT_OUTPUT,
  ]
}

function checkSize({ width, height }: { width: number; height: number }): void {
  const good = [width, height].every((side) => Number.isInteger(side) && side >= 2 && side % 2 === 0 && side <= 16_384)
  if (!good) {
    const message = `the decoder's size is ${width}x${height}; accepted are even sides of 2 to 16384 pixels`
    throw new AppError('internal', message)
  }
}
