import type { ChildProcess, SpawnOptions } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { devNull } from 'node:os'
import type { Readable } from 'node:stream'
import ffmpeg, { type FfmpegCommand } from 'fluent-ffmpeg'
import { TailBuffer } from '../core/child.ts'
import { AppError } from '../core/errors.ts'
import { type Closed, type Context, deadline, type Resource } from '../core/resource.ts'
import { type ByteSink, type ChildInput, ChildPipes, writeAtOnce } from './pipes.ts'

export type FfmpegOptions = {
  /** Its purpose in one word, for messages. */
  name: string
  /** The ffmpeg to run. Use only one per process: fluent-ffmpeg keeps its path and capabilities globally. */
  path: string
  /** Arguments before `-i pipe:0`; undefined if ffmpeg reads nothing from us. */
  input?: string[]
  /** Arguments before `pipe:1`, or before `file`. */
  output: string[]
  /** Output file, instead of our pipe. */
  file?: string
  /** How long it may take to finish after its input has ended; default 10,000. */
  endMs?: number
  /** Pipe sizes, for large data. */
  inputBytes?: number
  outputBytes?: number
  /** Takes ffmpeg's output. If it throws, ffmpeg is ended with that error. */
  sink: ByteSink
  /** Everything written has been taken by ffmpeg. */
  onDrain?: () => void
}

/** A running ffmpeg. `closed` settles when it is gone; its error has the last lines in `details.stderr`. */
export interface FfmpegProcess extends Resource {
  readonly pid: number
  /** Bytes written that ffmpeg has not taken yet. */
  readonly backlogBytes: number
  /** Writes the parts in order; never waits. Does nothing after `end` or when ffmpeg is gone. */
  write(...parts: Uint8Array[]): void
  /** Like `write`; `onTaken` is called when the parts' memory is no longer needed, whatever became of them. */
  lend(parts: Uint8Array[], onTaken: () => void): void
  /** While paused, output stays in ffmpeg's pipe, except for one part already in flight, and ffmpeg waits. */
  pause(): void
  resume(): void
  /** Ends the input: ffmpeg finishes its output and exits. */
  end(): void
  /** Kills it because it hangs: a process that is stopped, or stuck in a driver, does not react to anything else. */
  giveUp(what: string): void
}

/** For the pipes of one child, both ends during its start, and for children that start at the same time. */
const CHILD_DESCRIPTORS = 16
const TERM_GRACE_MS = 2000
const END_GRACE_MS = 10_000
const STALL_MS = 10_000
const START_MS = 15_000

/** Resolves when ffmpeg runs. Rejects with `ffmpeg-failed` if it cannot be started. */
export async function openFfmpeg(options: FfmpegOptions, context: Context): Promise<FfmpegProcess> {
  context.signal?.throwIfAborted()
  return FluentProcess.start(options, context)
}

class FluentProcess implements FfmpegProcess {
  readonly closed: Promise<Closed>
  readonly pid: number
  readonly #name: string
  readonly #child: ChildProcess
  readonly #input: ChildInput | undefined
  readonly #stdout: Readable
  readonly #endMs: number
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
    const { input, stdout } = pipes.take(child, {
      room: () => sink.room?.(),
      push: (chunk) => this.#deliver(chunk, sink),
    })
    this.#input = input
    this.#stdout = stdout
    this.#endMs = options.endMs ?? END_GRACE_MS
    if (onDrain) input?.stream.on('drain', onDrain)
    const drained = new Promise<void>((done) => stdout.once('close', () => done()))
    child.once('close', async (code, signal) => {
      // ffmpeg's last output may still be in flight.
      await drained
      input?.stream.destroy()
      this.#gone = true
      for (const timer of this.#timers) clearTimeout(timer)
      clearTimeout(this.#stall)
      context.signal?.removeEventListener('abort', stop)
      resolve(this.#reason ?? exitReason(this.#name, code, signal, tail.lines))
    })
    if (context.signal?.aborted) stop()
  }

  static async start(options: FfmpegOptions, context: Context): Promise<FluentProcess> {
    checkDescriptors(options.name)
    const tail = new TailBuffer(40)
    const { promise, resolve, reject } = Promise.withResolvers<FluentProcess>()
    let abandoned = false
    const { inputBytes, outputBytes } = options
    const pipes = new ChildPipes({ withInput: options.input !== undefined, inputBytes, outputBytes })
    const command = ffmpeg().setFfmpegPath(options.path)
    const common = ['-hide_banner', '-nostats', '-nostdin', '-loglevel', 'warning']
    if (options.input) command.input('pipe:0').inputOptions(...common, ...options.input)
    command.output(options.file ?? 'pipe:1').outputOptions(...(options.input ? [] : common), ...options.output)
    command.on('stderr', (line: string) => tail.push(`${line}\n`))
    const fail = (cause: Error) => {
      pipes.close()
      reject(notStarted(options, cause))
    }
    // Once ffmpeg runs, its exit says everything; before that, this is the reason why it does not.
    command.on('error', fail)
    spawnWith(command, pipes, (child) => {
      // fluent-ffmpeg's own listener throws if the program cannot be spawned.
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
    return this.#input?.stream.writableLength ?? 0
  }

  write(...parts: Uint8Array[]): void {
    this.lend(parts, () => {})
  }

  lend(parts: Uint8Array[], onTaken: () => void): void {
    const stdin = this.#input?.stream
    if (!stdin?.writable || this.#inputEnded || this.#reason) {
      onTaken()
      return
    }
    const fd = stdin.writableLength === 0 ? this.#input?.fd : undefined
    const rest = fd === undefined ? parts : writeAtOnce(fd, parts)
    if (rest.length === 0) {
      onTaken()
      return
    }
    stdin.cork()
    for (const [index, part] of rest.entries()) {
      const isLast = index === rest.length - 1
      stdin.write(part, (error) => {
        if (!error) this.#progress()
        if (isLast) onTaken()
      })
    }
    stdin.uncork()
    if (stdin.writableLength > 0) this.#stall ??= setTimeout(this.#hung, STALL_MS)
  }

  pause(): void {
    if (!this.#reason) this.#stdout.pause()
  }

  resume(): void {
    this.#stdout.resume()
  }

  end(): void {
    if (this.#inputEnded) return
    this.#inputEnded = true
    this.#input?.stream.end()
    this.#after(this.#endMs, () => this.#fail('did not end in time'))
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
    // Its end is seen only after all its output was read.
    this.#stdout.resume()
    // The signal does not wake a blocked read, but the end of its input does.
    this.#input?.stream.destroy()
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
 * fluent-ffmpeg does not let the caller choose a child's stdio, so our pipes are passed to its internal spawn step.
 * That step also starts the ffmpegs that it probes, which are left alone.
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

/** fluent-ffmpeg's own listeners throw if Node has no descriptors left for a child's pipes. */
function checkDescriptors(name: string): void {
  const held: number[] = []
  try {
    for (let i = 0; i < CHILD_DESCRIPTORS; i++) held.push(openSync(devNull, 'r'))
  } catch (cause) {
    const message = `no file descriptors are left to start the ${name}; raise the server's limit (ulimit -n)`
    throw new AppError('capacity', message, { retryable: true, cause })
  } finally {
    for (const descriptor of held) closeSync(descriptor)
  }
}
