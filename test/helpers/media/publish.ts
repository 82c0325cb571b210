import { Child, type Exit, TailBuffer } from '../../../src/core/child.ts'
import type { Closed } from '../../../src/core/resource.ts'
import { ffmpegPath } from '../binaries.ts'

export type PublishOptions = {
  /** ffmpeg's input: a file or URL. */
  input: string
  /** Its output: a URL for MPEG-TS, or anything with `outputArgs`. */
  url: string
  /** Repetitions of the input; -1 is endless. */
  loop?: number
  /** Reads at the input's own pace; default true. */
  realTime?: boolean
  /** Arguments before `-i`. */
  inputArgs?: string[]
  /** Replaces `-c copy -f mpegts`. */
  outputArgs?: string[]
}

/** A real ffmpeg that publishes. */
export type Publisher = AsyncDisposable & {
  readonly pid: number
  /** Settles when ffmpeg is gone. */
  readonly closed: Promise<Closed>
  /** How it ended; undefined while it runs. */
  readonly exit: Exit | undefined
  /** Its last stderr lines. */
  stderr(): string[]
  /** SIGTERM: ffmpeg finishes its output. */
  stop(): Promise<Closed>
  /** SIGKILL: the connection breaks anywhere. */
  kill(): Promise<Closed>
}

export async function startPublisher(options: PublishOptions): Promise<Publisher> {
  const { input, url, loop = 0, realTime = true, inputArgs = [], outputArgs = ['-c', 'copy', '-f', 'mpegts'] } = options
  const args = ['-hide_banner', '-loglevel', 'warning', '-nostdin']
  if (realTime) args.push('-re')
  if (loop !== 0) args.push('-stream_loop', String(loop))
  args.push(...inputArgs, '-i', input, ...outputArgs, url)
  const child = await Child.spawn({ command: ffmpegPath(), args, stdio: ['ignore', 'ignore', 'pipe'] })
  const tail = new TailBuffer(50)
  child.process.stderr?.setEncoding('utf8').on('data', (chunk: string) => tail.push(chunk))
  return {
    pid: child.pid,
    closed: child.closed,
    get exit() {
      return child.exit
    },
    stderr: () => tail.lines,
    stop: () => child.close(),
    kill: () => {
      child.process.kill('SIGKILL')
      return child.closed
    },
    [Symbol.asyncDispose]: async () => {
      await child.close()
    },
  }
}
