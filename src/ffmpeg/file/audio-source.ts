import { type AudioFrame, PCM_RATE, samplesIn, ticksIn } from '../../core/media/audio.ts'
import type { Context } from '../../core/resource.ts'
import type { FfmpegProgram } from '../binary.ts'
import { type FfmpegProcess, openFfmpeg } from '../command.ts'
import { DecodedQueue } from './decoded-queue.ts'

export type FileAudioOptions = {
  ffmpeg: FfmpegProgram
  /** ffmpeg's arguments up to and including `-i FILE`. */
  input: readonly string[]
  /** Length of a frame in ms, 10 or 20. */
  frameMs: number
  /** 1 or 2; other channel counts are mixed. */
  channels: number
  /** Whether damaged data ends it; otherwise ffmpeg decodes what it can. */
  strict: boolean
}

/** Limit of decoded frames that wait for the consumer. */
const MAX_WAITING = 64

/**
 * The first audio track of a file as frames without gaps, from the start of the part that is read, where its video also
 * begins. Decodes as fast as frames are taken: ffmpeg waits for the consumer.
 */
export class FileAudioSource implements AsyncDisposable {
  readonly #options: FileAudioOptions
  readonly #queue = new DecodedQueue<AudioFrame>(MAX_WAITING)
  #process!: FfmpegProcess
  #part: Uint8Array
  #filled = 0
  #samples = 0

  private constructor(options: FileAudioOptions) {
    this.#options = options
    this.#part = this.#fresh()
  }

  static async open(options: FileAudioOptions, context: Context): Promise<FileAudioSource> {
    const source = new FileAudioSource(options)
    source.#process = await openFfmpeg(
      {
        name: 'file-audio',
        path: options.ffmpeg.path,
        output: outputArgs(options),
        sink: { push: (chunk) => source.#push(chunk) },
      },
      context,
    )
    source.#queue.attach(source.#process, () => {
      // The last frame is padded with silence.
      if (source.#filled > 0) source.#send()
    })
    return source
  }

  /** Throws `ffmpeg-failed` if the file cannot be decoded. */
  frames(): AsyncGenerator<AudioFrame, void> {
    return this.#queue.frames()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.close()
  }

  #fresh(): Uint8Array {
    const { frameMs, channels } = this.#options
    return new Uint8Array(samplesIn(frameMs) * channels * Float32Array.BYTES_PER_ELEMENT)
  }

  #push(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length; ) {
      const piece = chunk.subarray(at, at + this.#part.length - this.#filled)
      this.#part.set(piece, this.#filled)
      this.#filled += piece.length
      at += piece.length
      if (this.#filled === this.#part.length) this.#send()
    }
  }

  #send(): void {
    const { channels } = this.#options
    const data = new Float32Array(this.#part.buffer)
    this.#queue.push({ data, sampleRate: PCM_RATE, channels, pts: Math.round(ticksIn(this.#samples)) })
    this.#samples += data.length / channels
    this.#part = this.#fresh()
    this.#filled = 0
  }
}

function outputArgs({ input, channels, strict }: FileAudioOptions): string[] {
  // Mixed so that full scale stays full scale; from time 0 on, with silence in gaps.
  const filter = `aresample=${PCM_RATE}:async=1:first_pts=0:rematrix_maxval=1.0`
  const layout = channels === 1 ? 'mono' : 'stereo'
  return [
    ...(strict ? ['-xerror'] : []),
    ...[...input, '-map', '0:a:0', '-vn', '-sn', '-dn'],
    ...['-af', `${filter},aformat=sample_fmts=flt:channel_layouts=${layout}`],
    ...['-c:a', 'pcm_f32le', '-f', 'f32le'],
  ]
}
