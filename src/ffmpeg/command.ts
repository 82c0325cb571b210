import type { ChildProcess, SpawnOptions } from 'node:child_process'
import type { Writable } from 'node:stream'
import ffmpeg, { type FfmpegCommand } from 'fluent-ffmpeg'
import { TailBuffer } from '../core/child.ts'
import { AppError } from '../core/errors.ts'
import { type Closed, type Context, deadline, type Resource } from '../core/resource.ts'
import { type ByteSink, ChildPipes } from './pipes.ts'

export type FfmpegOptions = {
  /** What it does, in one word, for messages. */
  name: string
  /** The ffmpeg to run. A process of ours uses one: fluent-ffmpeg keeps the path, and what it can do, for all. */
  path: string
  /** Arguments in front of `-i pipe:0`; absent when ffmpeg reads nothing from us. */
  input?: string[]
  /** Arguments in front of `pipe:1`. */
  output: string[]
  /** As much as comes, or goes, at once, where that is large. */
  inputBytes?: number
  outputBytes?: number
  /** Gets what ffmpeg writes. When it throws, ffmpeg is ended and that error is why. */
  sink: ByteSink
  /** All that was written has gone into ffmpeg. */
  onDrain?: () => void
}

/** A running ffmpeg. `closed` settles when it is gone; an error there carries its last lines in `details.stderr`. */
export interface FfmpegProcess extends Resource {
  readonly pid: number
  /** Bytes written that ffmpeg has not taken yet. */
  readonly backlogBytes: number
  /** Writes the parts one after the other; never waits. Nothing happens after `end` or when ffmpeg is gone. */
  write(...parts: Uint8Array[]): void
  /** The same; `onTaken` is called when the memory of the parts is no longer needed, whatever became of them. */
  lend(parts: Uint8Array[], onTaken: () => void): void
  /** Ends the input: ffmpeg writes what it still holds and goes. */
  end(): void
  /** Ends it at once because it hangs: a process that is stopped, or stuck in a driver, hears nothing milder. */
  giveUp(what: string): void
}

const TERM_GRACE_MS = 2000
const END_GRACE_MS = 10_000
const STALL_MS = 10_000
const START_MS = 15_000

/** Resolves when ffmpeg runs. Fails with `ffmpeg-failed` when it cannot be started. */
export async function openFfmpeg(options: FfmpegOptions, context: Context): Promise<FfmpegProcess> {
  context.signal?.throwIfAborted()
  return FluentProcess.start(options, context)
}

class FluentProcess implements FfmpegProcess {
  readonly closed: Promise<Closed>
  readonly pid: number
  readonly #name: string
  readonly #child: ChildProcess
  readonly #stdin: Writable | null
  readonly #timers = new Set<NodeJS.Timeout>()
  #stall: NodeJS.Timeout | undefined
  #reason: Closed | undefined
  #gone = false
  #inputEnded = false

  private constructor(
    child: ChildProcess,
    pipes: ChildPipes,
    tail: TailBuffer,
    options: FfmpegOptions,
    context: Context,
  ) {
    this.#child = child
    this.pid = child.pid ?? 0
    this.#name = options.name
    const { promise, resolve } = Promise.withResolvers<Closed>()
    this.closed = promise
    const stop = () => void this.close()
    context.signal?.addEventListener('abort', stop, { once: true })
    const { sink, onDrain } = options
    const { stdin, stdout } = pipes.take(child, {
      room: () => sink.room?.(),
      push: (chunk) => this.#deliver(chunk, sink),
    })
    this.#stdin = stdin
    if (onDrain) stdin?.on('drain', onDrain)
    const drained = new Promise<void>((done) => stdout.once('close', () => done()))
    child.once('close', async (code, signal) => {
      // What ffmpeg wrote last may still be on its way.
      await drained
      stdin?.destroy()
      this.#gone = true
      for (const timer of this.#timers) clearTimeout(timer)
      clearTimeout(this.#stall)
      context.signal?.removeEventListener('abort', stop)
      resolve(this.#reason ?? exitReason(this.#name, code, signal, tail.lines))
    })
    if (context.signal?.aborted) stop()
  }

  static async start(options: FfmpegOptions, context: Context): Promise<FluentProcess> {
    const tail = new TailBuffer(40)
    const { promise, resolve, reject } = Promise.withResolvers<FluentProcess>()
    let abandoned = false
    const { inputBytes, outputBytes } = options
    const pipes = new ChildPipes({ withInput: options.input !== undefined, inputBytes, outputBytes })
    const command = ffmpeg().setFfmpegPath(options.path)
    const common = ['-hide_banner', '-nostats', '-nostdin', '-loglevel', 'warning']
    if (options.input) command.input('pipe:0').inputOptions(...common, ...options.input)
    command.output('pipe:1').outputOptions(...(options.input ? [] : common), ...options.output)
    command.on('stderr', (line: string) => tail.push(`${line}\n`))
    const fail = (cause: Error) => {
      pipes.close()
      reject(notStarted(options, cause))
    }
    // Once ffmpeg runs, its exit tells all; before that, this is why it does not.
    command.on('error', fail)
    spawnWith(command, pipes, (child) => {
      // fluent-ffmpeg's own listener throws when the program cannot be spawned.
      child.removeAllListeners('error').on('error', fail)
      child.once('spawn', () => {
        const running = new FluentProcess(child, pipes, tail, options, context)
        if (abandoned) void running.close()
        else resolve(running)
      })
    })
    command.run()
    try {
      return await deadline(promise, START_MS, 'starting ffmpeg')
    } catch (thrown) {
      abandoned = true
      throw thrown
    }
  }

  get backlogBytes(): number {
    return this.#stdin?.writableLength ?? 0
  }

  write(...parts: Uint8Array[]): void {
    this.lend(parts, () => {})
  }

  lend(parts: Uint8Array[], onTaken: () => void): void {
    const stdin = this.#stdin
    if (!stdin?.writable || this.#inputEnded || this.#reason) {
      onTaken()
      return
    }
    stdin.cork()
    for (const [index, part] of parts.entries()) {
      const isLast = index === parts.length - 1
      stdin.write(part, (error) => {
        if (!error) this.#progress()
        if (isLast) onTaken()
      })
    }
    stdin.uncork()
    if (stdin.writableLength > 0) this.#stall ??= setTimeout(this.#hung, STALL_MS)
  }

  end(): void {
    if (this.#inputEnded) return
    this.#inputEnded = true
    this.#stdin?.end()
    this.#after(END_GRACE_MS, () => this.#fail('did not end in time'))
  }

  giveUp(what: string): void {
    this.#fail(what)
    this.#child.kill('SIGKILL')
  }

  close(): Promise<Closed> {
    this.#stop({ why: 'stopped' })
    return this.closed
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #deliver(chunk: Uint8Array, sink: ByteSink): void {
    if (this.#reason) return
    try {
      sink.push(chunk)
    } catch (thrown) {
      this.#stop({ why: 'failed', error: AppError.from(thrown, 'ffmpeg-failed') })
    }
  }

  readonly #progress = (): void => {
    if (this.backlogBytes > 0) this.#stall?.refresh()
    else {
      clearTimeout(this.#stall)
      this.#stall = undefined
    }
  }

  readonly #hung = (): void => this.#fail(`took nothing of its input for ${STALL_MS} ms`)

  #fail(what: string): void {
    const error = new AppError('ffmpeg-failed', `ffmpeg (${this.#name}) ${what}`, { retryable: true })
    this.#stop({ why: 'failed', error })
  }

  #stop(reason: Closed): void {
    if (this.#gone || this.#reason) return
    this.#reason = reason
    // A blocked read is not woken by the signal, but it is by the end of its input.
    this.#stdin?.destroy()
    this.#child.kill('SIGTERM')
    this.#after(TERM_GRACE_MS, () => this.#child.kill('SIGKILL'))
  }

  #after(ms: number, act: () => void): void {
    if (!this.#gone) this.#timers.add(setTimeout(act, ms))
  }
}

type Spawn = (
  args: string[],
  options: SpawnOptions & { captureStdout?: boolean },
  onProcess: (child: ChildProcess, ...rest: unknown[]) => void,
  onEnd: (...args: unknown[]) => void,
) => void

/**
 * fluent-ffmpeg does not let anyone choose what a child reads from and writes to: its own step that starts one is given
 * our pipes. That step also starts those ffmpegs that are asked what they can do, which are left alone.
 */
function spawnWith(command: FfmpegCommand, pipes: ChildPipes, onSpawn: (child: ChildProcess) => void): void {
  const inner = command as unknown as { _spawnFfmpeg: Spawn }
  const spawn = inner._spawnFfmpeg
  inner._spawnFfmpeg = (args, options, onProcess, onEnd) => {
    if ('stdoutLines' in options) return spawn.call(command, args, options, onProcess, onEnd)
    const own = { ...options, captureStdout: false, stdio: pipes.stdio }
    const started: typeof onProcess = (child, ...rest) => {
      pipes.spawned()
      onProcess(child, ...rest)
      onSpawn(child)
    }
    spawn.call(command, args, own, started, onEnd)
  }
}

function exitReason(name: string, code: number | null, signal: NodeJS.Signals | null, stderr: string[]): Closed {
  if (code === 0) return { why: 'ended' }
  const how = signal ? `was killed by ${signal}` : `exited with code ${code}`
  const last = stderr.at(-1)
  const message = `ffmpeg (${name}) ${how}${last ? `: ${last}` : ''}`
  const details = { code, signal, stderr: stderr.slice(-20) }
  return { why: 'failed', error: new AppError('ffmpeg-failed', message, { retryable: true, details }) }
}

function notStarted({ name, path }: FfmpegOptions, cause: Error): AppError {
  return new AppError('ffmpeg-failed', `could not start ffmpeg (${name}) at ${path}: ${cause.message}`, { cause })
}
