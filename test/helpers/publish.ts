import { Child, type Exit, TailBuffer } from '../../src/core/child.ts'
import type { Closed } from '../../src/core/resource.ts'
import { ffmpegPath } from './binaries.ts'

export type PublishOptions = {
  /** What ffmpeg reads: a file or URL. */
  input: string
  /** Where it writes: a URL for MPEG-TS, or anything with `output` of its own. */
  url: string
  /** Repeats of the input; -1 is for ever. */
  loop?: number
  /** Reads at the input's own pace; true unless told. */
  realTime?: boolean
  /** Arguments in front of `-i`. */
  inputArgs?: string[]
  /** Instead of `-c copy -f mpegts`. */
  outputArgs?: string[]
}

/** A real ffmpeg that publishes. */
export type Publisher = AsyncDisposable & {
  readonly pid: number
  /** Settles when ffmpeg is gone. */
  readonly closed: Promise<Closed>
  /** How it ended; undefined while it runs. */
  readonly exit: Exit | undefined
  /** The last lines it wrote. */
  stderr(): string[]
  /** SIGTERM: ffmpeg ends its output in order. */
  stop(): Promise<Closed>
  /** SIGKILL: the connection breaks wherever it is. */
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
