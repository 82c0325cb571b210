import { TailBuffer } from '../core/child.ts'
import { AppError } from '../core/errors.ts'
import { TsFed } from '../ffmpeg/ts-fed.ts'

/** Limit of bytes that ffmpeg has not taken; beyond it the disk is too slow. */
const MAX_WAITING_BYTES = 16 * 1024 * 1024
const FINISH_MS = 10_000
const FRAGMENTS = [
  ...['-movflags', '+frag_keyframe+empty_moov+delay_moov+default_base_moof'],
  ...['-frag_duration', '1000000'],
]

/**
 * One MP4 file (ISO/IEC 14496-12) in fragments of at most a second: it is playable while it grows, and after any kind
 * of end. ffmpeg remuxes it from MPEG-TS.
 */
export class RecordedFile {
  /** Bytes written to ffmpeg. */
  bytes = 0
  readonly name: string
  readonly startedAt = Date.now()
  readonly #writer: TsFed
  readonly #tail: TailBuffer

  private constructor(name: string, writer: TsFed, tail: TailBuffer) {
    this.name = name
    this.#writer = writer
    this.#tail = tail
  }

  static async open(ffmpeg: string, name: string, path: string): Promise<RecordedFile> {
    const copy = ['-map', '0:v?', '-map', '0:a?', '-c', 'copy', '-flush_packets', '1', '-f', 'mp4']
    const tail = new TailBuffer(20)
    const writer = await TsFed.open({
      ffmpeg,
      options: ['-loglevel', 'warning'],
      output: [...copy, ...FRAGMENTS, `file:${path}`],
      onLine: (line) => tail.push(`${line}\n`),
    })
    return new RecordedFile(name, writer, tail)
  }

  get pid(): number {
    return this.#writer.pid
  }

  /** @throws AppError `ffmpeg-failed` if ffmpeg has ended, `timeout` if it or the disk is too slow. */
  write(bytes: Uint8Array): void {
    if (this.#writer.exit) throw this.#failure()
    this.#writer.write(bytes)
    this.bytes += bytes.length
    if (this.#writer.waitingBytes > MAX_WAITING_BYTES) {
      throw new AppError('timeout', `the disk is too slow for ${this.name}`)
    }
  }

  /** Ends the file normally. @throws AppError `ffmpeg-failed` otherwise. */
  async finish(): Promise<void> {
    await this.#writer.finish(FINISH_MS, `the end of ${this.name}`)
    if (this.#writer.exit?.code !== 0) throw this.#failure()
  }

  async abort(): Promise<void> {
    await this.#writer.close()
  }

  #failure(): AppError {
    const { code, signal } = this.#writer.exit ?? {}
    const how = signal ? `was killed by ${signal}` : `exited with code ${code}`
    return new AppError('ffmpeg-failed', `the ffmpeg that wrote ${this.name} ${how}`, {
      details: { logs: this.#tail.lines },
    })
  }
}
