import type { NutFrame } from '../codec/nut/format.ts'
import { NutReader } from '../codec/nut/reader.ts'
import { NutWriter } from '../codec/nut/writer.ts'
import { nowMs, TICKS_PER_SECOND } from '../core/clock.ts'
import { AppError } from '../core/errors.ts'
import { frameBytes, type PixelFormat, type VideoFrame } from '../core/media/frame.ts'
import type { FrameMemory } from '../core/media/frame-pool.ts'
import type { EncodedPacket, VideoTrack } from '../core/media/packet.ts'
import type { Closed, Context, Resource } from '../core/resource.ts'
import { type Ffmpeg, NUT_INPUT, NUT_OUTPUT, passFrames } from './binary.ts'
import { type FfmpegProcess, openFfmpeg } from './command.ts'
import { HangWatch } from './hang-watch.ts'
import { Stamps } from './stamps.ts'

export type VideoDecoderOptions = {
  ffmpeg: Ffmpeg
  track: VideoTrack
  /** Layout of the frames. */
  format: PixelFormat
  /** Size of the frames in pixels, even. Absent: the size of the first frame, an odd last row or column cut off. */
  size?: { width: number; height: number }
  /** How to bring a frame to `size`: out of proportion (default), or scaled to cover it and cropped at the centre. */
  fit?: 'stretch' | 'cover'
  /** Each frame in order of presentation, with the `pts` of its packet. */
  onFrame: (frame: VideoFrame) => void
  /** For the pixels of frames; what no frame comes out of goes back there. Fresh memory unless told. */
  memory?: FrameMemory
}

/** One ffmpeg that decodes. Damaged packets cost frames, not the decoder. */
export interface VideoDecoder extends Resource {
  readonly pid: number
  /** False when the packet was dropped: too much is waiting. All is dropped then up to a keyframe. */
  write(packet: EncodedPacket): boolean
  /** Takes packets from a keyframe on at once, however many: those of before this decoder. What follows may wait for them. */
  replay(packets: readonly EncodedPacket[]): void
  /** No more packets: the remaining frames come out, then it closes with `ended`. */
  end(): void
}

const MAX_BACKLOG_BYTES = 8 * 1024 * 1024
const MAX_PENDING_PACKETS = 120
const ALIVE_MS = 1000
/** So many more packets than usual must wait before a decoder is held to be late. */
const DUE_PACKETS = 2
/** 1080p with 24 bits a pixel. The size of the frames is known only when they come. */
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
  /** Packets that wait right after a frame has come out: B-frames are held back for good. */
  #usuallyPending = 0
  #began = false
  /** What may wait beyond the usual. */
  #replayed = { packets: 0, bytes: 0 }
  #waitingForKey = false
  #lastFrameMs = Number.NEGATIVE_INFINITY

  private constructor(options: VideoDecoderOptions) {
    this.#options = options
    const { memory } = options
    this.#reader = new NutReader({ onFrame: (frame) => this.#deliver(frame), ...(memory && { memory }) })
    const { codec, width = 16, height = 16 } = options.track
    // The decoder takes the size from the bitstream; the container only must not say zero.
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
    const stamp = this.#stamps.enter(packet.pts, packet.dts)
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
    // Many packets without any frame are damaged, or a start that takes its time: there is nothing to catch up with.
    if (nowMs() - this.#lastFrameMs < ALIVE_MS) return true
    if (this.#process.backlogBytes === 0) this.#stamps.clear()
    return false
  }

  #deliver({ stream, pts: stamp, data }: NutFrame): void {
    this.#lastFrameMs = nowMs()
    const pts = this.#stamps.leave(stamp)
    this.#watch.gave()
    this.#usuallyPending = this.#stamps.pending
    const { format, onFrame, memory } = this.#options
    if (stream.kind !== 'video' || pts === undefined) {
      memory?.give(data)
      return
    }
    const { width, height } = stream
    if (data.length !== frameBytes(format, width, height)) {
      const got = `${data.length} bytes for a ${format} frame of ${width}x${height}`
      throw new AppError('ffmpeg-failed', `ffmpeg (decoder) gave ${got}`)
    }
    onFrame({ data, format, width, height, pts })
  }
}

function outputArgs({ ffmpeg, format, size, fit }: VideoDecoderOptions): string[] {
  return [
    '-an',
    '-vf',
    filters(size, fit),
    ...passFrames(ffmpeg),
    '-enc_time_base',
    `1:${TICKS_PER_SECOND}`,
    // The encoder of raw video has threads too, and each would hold a frame back.
    '-threads',
    '1',
    '-c:v',
    'rawvideo',
    '-pix_fmt',
    format,
    ...NUT_OUTPUT,
  ]
}

function filters(size: VideoDecoderOptions['size'], fit: VideoDecoderOptions['fit']): string {
  if (!size) return 'crop=trunc(iw/2)*2:trunc(ih/2)*2:0:0'
  const { width, height } = size
  const scale = `scale=${width}:${height}:flags=bilinear`
  if (fit !== 'cover') return scale
  return `${scale}:force_original_aspect_ratio=increase,crop=${width}:${height}`
}

function checkSize({ width, height }: { width: number; height: number }): void {
  const good = [width, height].every((side) => Number.isInteger(side) && side >= 2 && side % 2 === 0 && side <= 16_384)
  if (!good) {
    const message = `the decoder's size is ${width}x${height}; accepted are even sides of 2 to 16384 pixels`
    throw new AppError('internal', message)
  }
}
