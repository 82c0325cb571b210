import { extname } from 'node:path'
import { NutWriter } from '../../codec/nut/writer.ts'
import { TICKS_PER_SECOND } from '../../core/clock.ts'
import { AppError } from '../../core/errors.ts'
import { type AudioFrame, inStereo, PCM_RATE } from '../../core/media/audio.ts'
import type { Context } from '../../core/resource.ts'
import { type FfmpegProgram, NUT_INPUT } from '../binary.ts'
import { type FfmpegProcess, openFfmpeg } from '../command.ts'
import { goneReason } from './decoded-queue.ts'
import { timesOf } from './sink.ts'

/** Extensions of files that hold one track of audio and no video, and their encoders. */
const AUDIO_CODECS: Record<string, string> = {
  '.wav': 'pcm_s16le',
  '.flac': 'flac',
  '.mp3': 'libmp3lame',
  '.m4a': 'aac',
  '.ogg': 'libopus',
  '.opus': 'libopus',
}

/** Audio encoder by file extension; default AAC. */
const CODECS: Record<string, string> = { ...AUDIO_CODECS, '.webm': 'libopus' }
export const AUDIO_ENDINGS = Object.keys(AUDIO_CODECS)
const KBPS = 192
const END_MS = 10 * 60_000

/** @throws AppError `ffmpeg-failed` if this ffmpeg has no audio encoder for such a file. */
export function audioCodecFor(ffmpeg: FfmpegProgram, file: string): string {
  const codec = CODECS[extname(file).toLowerCase()] ?? 'aac'
  if (ffmpeg.encoders.has(codec)) return codec
  throw new AppError('ffmpeg-failed', `${ffmpeg.path} has no ${codec}, which ${file} takes`)
}

/** Encodes audio into a file of its own; gaps between frames become silence. */
export class FileAudioSink implements AsyncDisposable {
  readonly #writer = new NutWriter(
    { kind: 'audio', codec: 'pcm_f32le', sampleRate: PCM_RATE, channels: 2 },
    { num: 1, den: PCM_RATE },
  )
  #process!: FfmpegProcess
  #samples = 0

  private constructor() {}

  /** The extension of `file` determines its format. */
  static async open({ ffmpeg, file }: { ffmpeg: FfmpegProgram; file: string }, context: Context) {
    const sink = new FileAudioSink()
    sink.#process = await openFfmpeg(
      {
        name: 'audio-encoder',
        path: ffmpeg.path,
        input: NUT_INPUT,
        output: ['-c:a', audioCodecFor(ffmpeg, file), '-b:a', `${KBPS}k`],
        file,
        endMs: END_MS,
        sink: { push: () => {} },
      },
      context,
    )
    sink.#process.write(sink.#writer.header())
    return sink
  }

  /** Resolves when the next frame may come. Throws `ffmpeg-failed`. */
  async write(frame: AudioFrame): Promise<void> {
    const from = Math.round((frame.pts * PCM_RATE) / TICKS_PER_SECOND)
    // A difference of one sample is rounding of a time stamp.
    while (from - this.#samples > 1) await this.#put(new Float32Array(2 * Math.min(from - this.#samples, PCM_RATE)))
    await this.#put(inStereo(frame).data)
  }

  /** Resolves when the file is complete. */
  async finish(): Promise<void> {
    this.#process.end()
    const reason = await goneReason(this.#process)
    if (reason) throw reason
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.close()
  }

  async #put(samples: Float32Array): Promise<void> {
    const data = new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength)
    const head = this.#writer.frame(this.#samples, true, data.length)
    this.#samples += samples.length / 2
    await new Promise<void>((resolve) => this.#process.lend([head, data], resolve))
    const gone = await Promise.race([this.#process.closed, undefined])
    if (!gone) return
    throw gone.error ?? new AppError('ffmpeg-failed', 'ffmpeg (audio-encoder) ended before the last of the audio')
  }
}

/** Copies the audio of an input, `-i FILE` and what is before it, into a file of its own. */
export async function copyAudio(
  { ffmpeg, input, file }: { ffmpeg: FfmpegProgram; input: readonly string[]; file: string },
  context: Context,
): Promise<void> {
  const tracks = AUDIO_ENDINGS.includes(extname(file).toLowerCase()) ? '0:a:0' : '0:a'
  const output = [...input, '-map', tracks, '-c', 'copy', ...timesOf(file)]
  await mux({ name: 'audio-copy', path: ffmpeg.path, output, file }, context)
}

/** Copies the video of one file and the audio of another into a third one. */
export async function joinFiles(
  { ffmpeg, video, audio, file }: { ffmpeg: FfmpegProgram; video: string; audio: string; file: string },
  context: Context,
): Promise<void> {
  const inputs = ['-i', `file:${video}`, '-i', `file:${audio}`, '-map', '0:v', '-map', '1:a']
  const output = [...inputs, '-c', 'copy', ...timesOf(file)]
  await mux({ name: 'muxer', path: ffmpeg.path, output, file }, context)
}

async function mux(
  options: { name: string; path: string; output: string[]; file: string },
  context: Context,
): Promise<void> {
  const process = await openFfmpeg({ ...options, endMs: END_MS, sink: { push: () => {} } }, context)
  const reason = await goneReason(process)
  if (reason) throw reason
}
