import { TsWriter } from '../../../src/codec/mpegts/writer.ts'
import { Child } from '../../../src/core/child.ts'
import { ffmpegPath } from '../../../test/helpers/binaries.ts'
import { FPS, type Units } from './units.ts'

/** After this, the burst that a server sends on connection is processed. */
export const WARM_UP_MS = 12_000
/** Time until an ffmpeg told to listen does so. */
export const LISTEN_MS = 1500
/** Frames by which it learns what it will send. */
export const FIRST_FRAMES = 3
/**
 * Frames are identified by intervals that do not repeat, in steps that every protocol keeps: RTMP counts milliseconds.
 */
export const STEP_TICKS = 900
export const stepOf = (number: number) =>
  Math.round((number * 90_000) / FPS / STEP_TICKS) + ((Math.imul(number + 1, 0x9e3779b1) >>> 7) & 1)

/** An ffmpeg that gets the clip frame by frame and passes it on. */
export class Feed implements AsyncDisposable {
  readonly #child: Child
  readonly #writer = new TsWriter()

  private constructor(child: Child) {
    this.#child = child
    child.process.stdin?.on('error', () => {})
  }

  static async open(output: string[]): Promise<Feed> {
    const input = [
      '-loglevel',
      'error',
      '-probesize',
      '32',
      '-analyzeduration',
      '0',
      '-fpsprobesize',
      '0',
      '-f',
      'mpegts',
      '-i',
      'pipe:0',
    ]
    const args = [...input, '-c', 'copy', '-flush_packets', '1', '-muxdelay', '0', '-muxpreload', '0', ...output]
    return new Feed(
      await Child.spawn({ command: ffmpegPath(), args, stdio: ['pipe', 'ignore', 'inherit'], graceMs: 1000 }),
    )
  }

  write(units: Units, number: number): void {
    this.#child.process.stdin?.write(this.#writer.write({ ...units.at(number), pts: stepOf(number) * STEP_TICKS }))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child.close()
  }
}
