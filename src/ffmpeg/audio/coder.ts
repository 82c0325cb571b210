import type { NutFrame } from '../../codec/nut/format.ts'
import { NutReader } from '../../codec/nut/reader.ts'
import { type NutAudioSpec, NutWriter } from '../../codec/nut/writer.ts'
import { TICKS_PER_SECOND } from '../../core/clock.ts'
import type { Closed, Context, Resource } from '../../core/resource.ts'
import { type Ffmpeg, NUT_INPUT, NUT_OUTPUT } from '../binary.ts'
import { type FfmpegProcess, openFfmpeg } from '../command.ts'
import { SampleClock } from './sample-clock.ts'

/** Audio in one format, on the stream's clock. */
export type Timed = { data: Uint8Array; pts: number }

export type AudioCoderOptions = {
  /** Its purpose in one word, for messages. */
  name: string
  ffmpeg: Ffmpeg
  /** The input format. */
  spec: NutAudioSpec & { extradata?: Uint8Array }
  /** Arguments before the input, and before the output. */
  input: string[]
  output: string[]
  /** Bytes that may wait for ffmpeg; more is dropped. Default: 512 KiB, a few seconds of any codec. */
  maxBacklogBytes?: number
  /** Called with output; `pts` is on the input's clock, so that audio stays in place. */
  onPacket(packet: Timed): void
}

/** One ffmpeg that converts audio to another format. Damaged packets cost audio, but do not end the coder. */
export interface AudioCoder<In extends Timed = Timed> extends Resource {
  readonly pid: number
  /** False if the packet was dropped because too much is waiting. */
  write(packet: In): boolean
  /** Ends the input: the remaining audio comes out, then it closes with `ended`. */
  end(): void
}

const BACKLOG_BYTES = 512 * 1024

/** Resolves when ffmpeg runs. */
export async function openAudioCoder(options: AudioCoderOptions, context: Context): Promise<AudioCoder> {
  return FfmpegAudioCoder.open(options, context)
}

class FfmpegAudioCoder implements AudioCoder {
  readonly #options: AudioCoderOptions
  readonly #clock = new SampleClock()
  readonly #writer: NutWriter
  readonly #reader = new NutReader({ onFrame: (frame) => this.#deliver(frame) })
  #process!: FfmpegProcess

  private constructor(options: AudioCoderOptions) {
    this.#options = options
    this.#writer = new NutWriter(options.spec, { num: 1, den: TICKS_PER_SECOND })
  }

  static async open(options: AudioCoderOptions, context: Context): Promise<AudioCoder> {
    const coder = new FfmpegAudioCoder(options)
    const { name, ffmpeg, input, output } = options
    coder.#process = await openFfmpeg(
      {
        name,
        path: ffmpeg.path,
        input: ['-copyts', ...input, ...NUT_INPUT],
        output: ['-vn', ...output, ...NUT_OUTPUT],
        sink: coder.#reader,
      },
      context,
    )
    coder.#process.write(coder.#writer.header())
    return coder
  }

  get pid(): number {
    return this.#process.pid
  }

  get closed(): Promise<Closed> {
    return this.#process.closed
  }

  write({ pts, data }: Timed): boolean {
    if (this.#process.backlogBytes > (this.#options.maxBacklogBytes ?? BACKLOG_BYTES)) return false
    this.#process.write(this.#writer.frame(this.#clock.enter(pts), true, data.length), data)
    return true
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

  #deliver({ stream, pts, data }: NutFrame): void {
    const { num, den } = stream.timeBase
    // ffmpeg stamps a packet with the time of its first sample minus the coder's delay, for players that do not know
    // the delay.
    const stamp = (pts * num * TICKS_PER_SECOND) / den
    this.#options.onPacket({ data, pts: this.#clock.leave(stamp) })
  }
}
