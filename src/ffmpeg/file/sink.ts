import { extname } from 'node:path'
import { NutWriter } from '../../codec/nut/writer.ts'
import { TICKS_PER_SECOND } from '../../core/clock.ts'
import { AppError } from '../../core/errors.ts'
import { frameBytes, type VideoFrame } from '../../core/media/frame.ts'
import { giveBack } from '../../core/media/frame-pool.ts'
import type { Context } from '../../core/resource.ts'
import { type FfmpegProgram, NUT_INPUT, passFrames } from '../binary.ts'
import { type FfmpegProcess, openFfmpeg } from '../command.ts'
import type { FileFacts } from './facts.ts'

/** Extensions of encoded video files, and their codecs, best first. */
const CODECS: Record<string, readonly string[]> = {
  '.mp4': ['libx264', 'h264_nvenc'],
  '.mov': ['libx264', 'h264_nvenc'],
  '.mkv': ['libx264', 'h264_nvenc'],
  '.ts': ['libx264', 'h264_nvenc'],
  '.webm': ['libvpx-vp9', 'libvpx'],
}

/** Audio codecs that may be copied into them, and into files without video; all if not listed. */
const AUDIO: Record<string, readonly string[]> = {
  '.mp4': ['aac', 'mp3', 'ac3', 'eac3', 'opus', 'flac', 'alac'],
  '.ts': ['aac', 'mp3', 'mp2', 'ac3', 'eac3', 'opus'],
  '.webm': ['opus', 'vorbis'],
  '.wav': ['pcm_u8', 'pcm_s16le', 'pcm_s24le', 'pcm_s32le', 'pcm_f32le'],
  '.flac': ['flac'],
  '.mp3': ['mp3'],
  '.m4a': ['aac', 'alac'],
  '.ogg': ['opus', 'vorbis', 'flac'],
  '.opus': ['opus'],
}

export const VIDEO_ENDINGS = Object.keys(CODECS)

/** Visually nearly lossless. */
const QUALITY: Record<string, readonly string[]> = {
  libx264: ['-preset', 'medium', '-crf', '18'],
  h264_nvenc: ['-rc', 'vbr', '-cq', '19', '-b:v', '0'],
  'libvpx-vp9': ['-crf', '24', '-b:v', '0', '-deadline', 'good', '-cpu-used', '4', '-row-mt', '1'],
  libvpx: ['-crf', '8', '-b:v', '20M', '-deadline', 'good', '-cpu-used', '4'],
}

/** After the last frame the encoder still holds dozens of frames, and writes the file's index. */
const END_MS = 10 * 60_000

export type FileSinkOptions = {
  ffmpeg: FfmpegProgram
  /** The extension determines the format. */
  file: string
  /** ffmpeg's arguments up to and including `-i FILE`, for the file whose audio is copied. */
  audioFrom?: readonly string[]
  /** Colours of the source, which `yuv420p` frames keep. */
  colour: FileFacts['colour']
  /** Form of the first frame, which all others share. */
  shape: Omit<VideoFrame, 'data' | 'pts'>
  /** Approximate frames per second. */
  fps?: number
}

/** Encodes frames into a file, with audio copied from another one. */
export class FileSink implements AsyncDisposable {
  readonly #writer: NutWriter
  #process!: FfmpegProcess
  #last = -1

  private constructor({ shape, fps }: FileSinkOptions) {
    const { format, width, height } = shape
    const timeBase = { num: 1, den: TICKS_PER_SECOND }
    this.#writer = new NutWriter(
      { kind: 'video', codec: format, width, height, ...(fps && { frameRate: fps }) },
      timeBase,
    )
  }

  static async open(options: FileSinkOptions, context: Context): Promise<FileSink> {
    const sink = new FileSink(options)
    const { format, width, height } = options.shape
    sink.#process = await openFfmpeg(
      {
        name: 'encoder',
        path: options.ffmpeg.path,
        input: NUT_INPUT,
        output: outputArgs(options),
        file: options.file,
        inputBytes: frameBytes(format, width, height),
        endMs: END_MS,
        sink: { push: () => {} },
      },
      context,
    )
    sink.#process.write(sink.#writer.header())
    return sink
  }

  /**
   * Resolves when the next frame may come; the frame's memory is returned once it is written. Throws `ffmpeg-failed`.
   */
  async write({ data, pts }: VideoFrame): Promise<void> {
    // In a file, each frame must be later than the one before it.
    this.#last = Math.max(Math.round(pts), this.#last + 1)
    const head = this.#writer.frame(this.#last, true, data.length)
    await new Promise<void>((resolve) => this.#process.lend([head, data], resolve))
    giveBack(data)
    await this.#throwIfGone()
  }

  /** Resolves when the file is complete. */
  async finish(): Promise<void> {
    this.#process.end()
    const { why, error } = await this.#process.closed
    if (why !== 'ended') throw error ?? stopped()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.close()
  }

  async #throwIfGone(): Promise<void> {
    const gone = await Promise.race([this.#process.closed, undefined])
    if (gone) throw gone.error ?? stopped()
  }
}

function stopped(): AppError {
  return new AppError('ffmpeg-failed', 'ffmpeg (encoder) ended before the last frame')
}

/** The codec that this ffmpeg has for a file; undefined for an unknown extension. @throws AppError `ffmpeg-failed` */
export function codecFor(ffmpeg: FfmpegProgram, file: string): string | undefined {
  const codecs = CODECS[extname(file).toLowerCase()]
  if (!codecs) return undefined
  const codec = codecs.find((one) => ffmpeg.encoders.has(one))
  if (codec) return codec
  throw new AppError('ffmpeg-failed', `${ffmpeg.path} has none of ${codecs.join(', ')}, one of which ${file} takes`)
}

/** @throws AppError `invalid-request` for audio that cannot be copied into such a file. */
export function checkAudio(file: string, codecs: readonly string[]): void {
  const ending = extname(file).toLowerCase()
  const accepted = AUDIO[ending]
  const other = accepted && codecs.find((codec) => !accepted.includes(codec))
  if (!other) return
  const message = `the audio of INPUT is ${other}; ${ending} takes ${accepted.join(', ')}, and .mkv takes any`
  throw new AppError('invalid-request', message)
}

function outputArgs({ ffmpeg, file, audioFrom, colour, shape }: FileSinkOptions): string[] {
  const codec = codecFor(ffmpeg, file) ?? 'libx264'
  const tags = shape.format === 'yuv420p' ? colour : { matrix: 'bt709', primaries: 'bt709', transfer: 'bt709' }
  const filters = [
    // Chroma is subsampled by two, so an odd row or column needs padding.
    ...(shape.width % 2 || shape.height % 2 ? ['pad=ceil(iw/2)*2:ceil(ih/2)*2'] : []),
    ...(shape.format === 'yuv420p' ? [] : ['scale=out_color_matrix=bt709:out_range=tv']),
    'format=yuv420p',
  ]
  return [
    ...(audioFrom ?? []),
    ...['-map', '0:v:0', ...(audioFrom ? ['-map', '1:a?', '-c:a', 'copy'] : [])],
    ...['-vf', filters.join(','), ...passFrames(ffmpeg), '-enc_time_base', `1:${TICKS_PER_SECOND}`],
    ...['-c:v', codec, ...(QUALITY[codec] ?? [])],
    ...(tags.matrix ? ['-colorspace', tags.matrix] : []),
    ...(tags.primaries ? ['-color_primaries', tags.primaries] : []),
    ...(tags.transfer ? ['-color_trc', tags.transfer] : []),
    ...timesOf(file),
  ]
}

/** Arguments that keep exact times, and make the file playable while it loads. */
export function timesOf(file: string): string[] {
  const isMp4 = /\.(mp4|mov)$/i.test(file)
  return isMp4 ? ['-video_track_timescale', String(TICKS_PER_SECOND), '-movflags', '+faststart'] : []
}
