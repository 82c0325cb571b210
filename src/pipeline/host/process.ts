import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { env } from 'node:process'
import type { Duplex } from 'node:stream'
import { Child } from '../../core/child.ts'
import { Emitter } from '../../core/emitter.ts'
import { AppError } from '../../core/errors.ts'
import { type Closed, type Context, deadline, type Resource } from '../../core/resource.ts'
import { withoutSecrets } from '../../core/secrets.ts'
import type { PipelineEntry } from '../catalog/entry.ts'
import { ControlChannel } from '../control-channel.ts'
import { FD, PROTOCOL_VERSION, RunnerMessage, type ServerMessage, type Values } from '../protocol.ts'
import { AuthorOutput } from './author-output.ts'
import { programOf } from './program.ts'
import { killMarked, type Reaper } from './reaper.ts'

/**
 * glibc returns the memory of freed frames to the system and requests it again, page by page, for the next ones, which
 * costs more than the frames themselves. It may keep this much, and serve blocks up to the second size from it
 * (mallopt(3)).
 */
const KEPT_MEMORY = {
  MALLOC_TRIM_THRESHOLD_: String(512 * 1024 * 1024),
  MALLOC_MMAP_THRESHOLD_: String(32 * 1024 * 1024),
}

export type RunnerOptions = {
  entry: PipelineEntry
  mode: 'serve' | 'describe' | 'prepare'
  initial: Values
  params: Values
  /** Revision of those params. */
  revision: number
  modelDir: string
  reaper: Reaper
  /** Descriptor of the frame memory; only for `serve`. */
  frames?: number
  /** A frame of the stream may have ended the previous process. */
  suspect?: boolean
}

/** A process, or one stream's seat in it. */
export type Runner = Pick<
  RunnerProcess,
  'events' | 'closed' | 'pid' | 'doorbell' | 'tail' | 'send' | 'close' | 'memoryBytes' | 'stuck'
> & {
  /** Kills it with a reason; `all`: with every stream in it. */
  kill(reason: AppError, all?: boolean): void
  /** Whether a frame of its stream is being processed. */
  busy?: () => boolean
}

/** One run of `runner.ts`: its process, messages and output. */
export class RunnerProcess implements Resource {
  readonly events: Emitter<{ message: RunnerMessage; line: string }>
  /** Settles when it and everything that it started is gone; `failed` includes its last lines. */
  readonly closed: Promise<Closed>
  readonly pid: number
  /** The server's end of its doorbell. */
  readonly doorbell: Duplex | undefined
  readonly #child: Child
  readonly #control: Duplex
  readonly #channel: ControlChannel
  readonly #output: AuthorOutput
  #failure: AppError | undefined
  #stopping = false

  private constructor(child: Child, options: RunnerOptions, mark: string, { log }: Context) {
    this.#child = child
    this.pid = child.pid
    this.events = new Emitter(log)
    const stdio = child.process.stdio as readonly unknown[]
    this.#control = stdio[FD.control] as Duplex
    this.doorbell = stdio[FD.doorbell] as Duplex | undefined
    this.#output = new AuthorOutput((line) => this.events.emit('line', line))
    const { stdout, stderr } = child.process
    for (const stream of [stdout, stderr]) {
      stream?.on('data', (chunk: Buffer) => this.#output.push(chunk))
      stream?.on('error', () => {})
    }
    this.#channel = new ControlChannel(this.#control, {
      onMessage: (raw) => {
        const parsed = RunnerMessage.safeParse(raw)
        if (!parsed.success) log.warn({ issues: parsed.error.issues.length }, 'the runner sent an unknown message')
        else this.#receive(parsed.data)
      },
      onBroken: (error) => this.kill(error),
    })
    this.closed = this.#end(options, mark)
  }

  static async open(options: RunnerOptions, context: Context): Promise<RunnerProcess> {
    const mark = randomUUID()
    const serving = options.frames === undefined ? (['ignore', 'ignore'] as const) : ([options.frames, 'pipe'] as const)
    const program = programOf(options.entry)
    const child = await Child.spawn({
      command: program.command,
      args: [...program.args, mark],
      stdio: ['ignore', 'pipe', 'pipe', 'pipe', ...serving],
      env: { ...KEPT_MEMORY, ...withoutSecrets(env), ...program.env },
      group: true,
    })
    options.reaper.watch(child.pid, mark)
    const runner = new RunnerProcess(child, options, mark, context)
    const { entry, mode, initial, params, revision, modelDir, suspect = false } = options
    const { name, entryFile, exportName } = entry
    const start = { type: 'start', version: PROTOCOL_VERSION, mode, name, entryFile, exportName } as const
    runner.send({ ...start, initial, params, revision, modelDir, suspect })
    return runner
  }

  /** The last hundred lines printed or logged. */
  get tail(): string[] {
    return this.#output.tail
  }

  send(message: ServerMessage): void {
    this.#channel.send(message)
  }

  /** Kills it; `reason` becomes its closing error. */
  kill(reason: AppError): void {
    this.#failure ??= reason
    this.#child.process.kill('SIGKILL')
  }

  async close(): Promise<Closed> {
    this.#stopping = true
    this.send({ type: 'stop' })
    await this.#child.close()
    return this.closed
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** Bytes of private memory, without what it shares with the server; undefined if the system does not report it. */
  async memoryBytes(): Promise<number | undefined> {
    const status = await readFile(`/proc/${this.pid}/status`, 'utf8').catch(() => '')
    const kilobytes = /^RssAnon:\s+(\d+) kB$/m.exec(status)?.[1]
    return kilobytes ? Number(kilobytes) * 1024 : undefined
  }

  /**
   * Whether it is stopped, or waits in a driver that does not answer, and so does no work. While `loading`, waiting for
   * a disk looks the same and does not count. False if the system does not report it.
   */
  async stuck(loading: boolean): Promise<boolean> {
    const status = await readFile(`/proc/${this.pid}/status`, 'utf8').catch(() => '')
    return (loading ? /^State:\s+[Tt]/m : /^State:\s+[TtD]/m).test(status)
  }

  #receive(message: RunnerMessage): void {
    if (message.type === 'failed') {
      this.#failure ??= AppError.fromJSON(message.error)
      // The runner waits for this, so that its last message arrives.
      this.#control.end()
    } else if (message.type === 'log') this.#output.keep(message.message)
    else if (message.type === 'error') this.#output.keep(`${message.during}: ${message.message}`)
    this.events.emit('message', message)
  }

  async #end({ reaper, entry, mode }: RunnerOptions, mark: string): Promise<Closed> {
    const { process: child } = this.#child
    const disconnected = new Promise<void>((resolve) => this.#control.once('close', () => resolve()))
    const closed = await this.#child.closed
    // Its last messages may still be in flight, and its children may hold its pipes open.
    if (!this.#control.destroyed) await deadline(disconnected, 500, 'the last message').catch(() => {})
    await killMarked(mark)
    reaper.forget(this.pid, mark)
    for (const stream of [child.stdout, child.stderr, this.#control, this.doorbell]) stream?.destroy()
    if (this.#stopping) return { why: 'stopped' }
    if (!this.#failure && closed.why === 'ended' && mode !== 'serve') return closed
    const exit = this.#child.exit
    const how = exit?.signal ? `was ended by ${exit.signal}` : `exited with code ${exit?.code}`
    const told = this.#failure
    const error = new AppError(told?.code ?? 'pipeline-failed', told?.message ?? `the pipeline's process ${how}`, {
      details: { ...told?.details, pipeline: entry.name, ...exit, lines: this.tail },
      issues: told?.issues,
      cause: told,
    })
    return { why: 'failed', error }
  }
}
