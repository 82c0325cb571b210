import { AppError } from '../../core/errors.ts'
import type { FfmpegProcess } from '../command.ts'

/** Decoded frames of a file on their way to the consumer: ffmpeg is paused while `max` of them wait. */
export class DecodedQueue<Frame> {
  readonly #max: number
  readonly #waiting: Frame[] = []
  #process: FfmpegProcess | undefined
  #ended = false
  #wake = () => {}

  constructor(max: number) {
    this.#max = max
  }

  /** Call when ffmpeg runs; `onClosed` is called once it is gone, and may push what is left. */
  attach(process: FfmpegProcess, onClosed: () => void): void {
    this.#process = process
    void process.closed.then(() => {
      onClosed()
      this.#ended = true
      this.#wake()
    })
  }

  push(frame: Frame): void {
    this.#waiting.push(frame)
    if (this.#waiting.length >= this.#max) this.#process?.pause()
    this.#wake()
  }

  /** The frames in order, to their end. Throws `ffmpeg-failed` if the file cannot be decoded. */
  async *frames(): AsyncGenerator<Frame, void> {
    for (;;) {
      const frame = this.#waiting.shift()
      if (frame !== undefined) {
        if (this.#waiting.length < this.#max) this.#process?.resume()
        yield frame
      } else if (this.#process && this.#ended) {
        const reason = await goneReason(this.#process)
        if (reason) throw reason
        return
      } else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
      }
    }
  }
}

/** Why ffmpeg ended before the end of its input; undefined if it did not. Resolves when it is gone. */
export async function goneReason({ closed }: FfmpegProcess): Promise<AppError | undefined> {
  const { why, error } = await closed
  return why === 'ended' ? undefined : (error ?? new AppError('ffmpeg-failed', 'ffmpeg (file) was stopped'))
}
