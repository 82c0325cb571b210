import type { NutFrame } from '../codec/nut/format.ts'
import { NutReader } from '../codec/nut/reader.ts'
import { NutWriter } from '../codec/nut/writer.ts'
import { TICKS_PER_SECOND } from '../core/clock.ts'
import type { AudioTrack, EncodedPacket } from '../core/media/packet.ts'
import type { Closed, Context, Resource } from '../core/resource.ts'
import { type Ffmpeg, NUT_INPUT, NUT_OUTPUT } from './binary.ts'
import { type FfmpegProcess, openFfmpeg } from './command.ts'
import { SampleClock } from './sample-clock.ts'

export type AudioTranscoderOptions = {
  ffmpeg: Ffmpeg
  /** What comes in: AAC in ADTS frames, MP3 or Opus. */
  track: AudioTrack
  /** `id` of the packets' track. */
  trackId: string
  /** Opus, 48 kHz stereo, 20 ms each; `pts` on the input's clock, so that what is heard stays where it was. */
  onPacket: (packet: EncodedPacket) => void
}

/** One ffmpeg that turns audio into Opus. Damaged packets cost audio, not the transcoder. */
export interface AudioTranscoder extends Resource {
  readonly pid: number
  /** False when the packet was dropped: too much is waiting. */
  write(packet: EncodedPacket): boolean
  /** No more packets: the remaining audio comes out, then it closes with `ended`. */
  end(): void
}

const MAX_BACKLOG_BYTES = 256 * 1024

/** Resolves when ffmpeg runs. */
export async function openAudioTranscoder(options: AudioTranscoderOptions, context: Context): Promise<AudioTranscoder> {
  return FfmpegAudioTranscoder.open(options, context)
}

class FfmpegAudioTranscoder implements AudioTranscoder {
  readonly #options: AudioTranscoderOptions
  readonly #track: AudioTrack
  readonly #clock = new SampleClock()
  readonly #writer: NutWriter
  readonly #reader = new NutReader({ onFrame: (frame) => this.#deliver(frame) })
  #process!: FfmpegProcess

  private constructor(options: AudioTranscoderOptions) {
    this.#options = options
    this.#track = { id: options.trackId, kind: 'audio', codec: 'opus', sampleRate: 48_000, channels: 2 }
    const { codec, sampleRate, channels } = options.track
    this.#writer = new NutWriter({ kind: 'audio', codec, sampleRate, channels }, { num: 1, den: TICKS_PER_SECOND })
  }

  static async open(options: AudioTranscoderOptions, context: Context): Promise<AudioTranscoder> {
    const transcoder = new FfmpegAudioTranscoder(options)
    transcoder.#process = await openFfmpeg(
      {
        name: 'audio',
        path: options.ffmpeg.path,
        input: ['-copyts', ...NUT_INPUT],
        output: [
          ...['-vn', '-ac', '2', '-ar', '48000', '-c:a', 'libopus', '-b:a', '128k'],
          // Without this Opus looks 4 ms further ahead, for a speech mode that is not used at this bit rate.
          ...['-application', 'lowdelay', '-frame_duration', '20'],
          ...NUT_OUTPUT,
        ],
        sink: transcoder.#reader,
      },
      context,
    )
    transcoder.#process.write(transcoder.#writer.header())
    return transcoder
  }

  get pid(): number {
    return this.#process.pid
  }

  get closed(): Promise<Closed> {
    return this.#process.closed
  }

  write({ pts, data }: EncodedPacket): boolean {
    if (this.#process.backlogBytes > MAX_BACKLOG_BYTES) return false
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
    // ffmpeg stamps a packet with the time of its first sample less the coder's delay: as players without knowledge of
    // that delay need it.
    const stamp = (pts * num * TICKS_PER_SECOND) / den
    this.#options.onPacket({ track: this.#track, data, pts: this.#clock.leave(stamp), key: true })
  }
}
