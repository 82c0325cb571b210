import { NutReader } from '../../codec/nut/reader.ts'
import { TICKS_PER_SECOND } from '../../core/clock.ts'
import { AppError } from '../../core/errors.ts'
import { frameBytes, type PixelFormat, type VideoFrame } from '../../core/media/frame.ts'
import { FramePool } from '../../core/media/frame-pool.ts'
import type { Context } from '../../core/resource.ts'
import { type FfmpegProgram, NUT_OUTPUT, passFrames } from '../binary.ts'
import { type FfmpegProcess, openFfmpeg } from '../command.ts'
import { DecodedQueue } from './decoded-queue.ts'

export type FileSourceOptions = {
  ffmpeg: FfmpegProgram
  /** ffmpeg's arguments up to and including `-i FILE`, or a filter that generates frames. */
  input: readonly string[] | string
  format: PixelFormat
  /**
   * Frame size in pixels, even; frames are scaled to cover it. Default: their own size, with odd last rows and columns
   * cut off.
   */
  size?: { width: number; height: number }
  /** Whether damaged data ends it; otherwise ffmpeg decodes what it can. */
  strict: boolean
}

/** Limit of decoded frames that wait for the consumer. */
const MAX_WAITING = 4

/** All frames of a file in order, as fast as they are taken: ffmpeg waits for the consumer. */
export class FileSource implements AsyncDisposable {
  readonly #options: FileSourceOptions
  readonly #pool = new FramePool()
  readonly #queue = new DecodedQueue<VideoFrame>(MAX_WAITING)
  #process!: FfmpegProcess

  private constructor(options: FileSourceOptions) {
    this.#options = options
  }

  static async open(options: FileSourceOptions, context: Context): Promise<FileSource> {
    const source = new FileSource(options)
    const reader = new NutReader({
      memory: source.#pool,
      onFrame: ({ stream, pts, data }) => {
        if (stream.kind === 'video') source.#queue.push({ ...source.#shape(stream, data), data, pts })
      },
    })
    const { width, height } = options.size ?? { width: 1920, height: 1080 }
    source.#process = await openFfmpeg(
      {
        name: 'file',
        path: options.ffmpeg.path,
        output: outputArgs(options),
        outputBytes: frameBytes(options.format, width, height),
        sink: reader,
      },
      context,
    )
    source.#queue.attach(source.#process, () => reader.close())
    return source
  }

  /**
   * Each frame, with `pts` counted from the start of the part that is read. A frame's memory is reused once the next
   * one is requested. Throws `ffmpeg-failed` if the file cannot be decoded.
   */
  async *frames(): AsyncGenerator<VideoFrame, void> {
    for await (const frame of this.#queue.frames()) {
      yield frame
      this.#pool.give(frame.data)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.close()
  }

  #shape({ width, height }: { width: number; height: number }, data: Uint8Array): Omit<VideoFrame, 'data' | 'pts'> {
    const { format } = this.#options
    if (data.length === frameBytes(format, width, height)) return { format, width, height }
    throw new AppError(
      'unsupported-media',
      `it is of another size than the frames before, which are ${width}x${height}`,
    )
  }
}

function outputArgs({ ffmpeg, input, format, size, strict }: FileSourceOptions): string[] {
  const scale = size && `scale=${size.width}:${size.height}:flags=bilinear:force_original_aspect_ratio=increase`
  const filters = size ? `${scale},crop=${size.width}:${size.height}` : 'crop=trunc(iw/2)*2:trunc(ih/2)*2:0:0'
  const video =
    typeof input === 'string'
      ? ['-filter_complex', `${input},${filters}[v]`, '-map', '[v]']
      : [...input, '-map', '0:V:0', '-an', '-sn', '-dn', '-vf', filters]
  return [
    ...(strict ? ['-xerror'] : []),
    ...video,
    ...passFrames(ffmpeg),
    ...['-enc_time_base', `1:${TICKS_PER_SECOND}`, '-c:v', 'rawvideo', '-pix_fmt', format],
    ...NUT_OUTPUT,
  ]
}
