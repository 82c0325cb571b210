import { type ChildProcess, spawn } from 'node:child_process'
import { AppError } from './errors.ts'
import { type Closed, deadline, type Resource } from './resource.ts'

export type ChildOptions = {
  command: string
  args: string[]
  /** As in `child_process.spawn`. */
  stdio: NonNullable<Parameters<typeof spawn>[2]>['stdio']
  env?: NodeJS.ProcessEnv
  cwd?: string
  /** Makes the child lead a process group, so that its own children end with it. */
  group?: boolean
  /** Time between SIGTERM and SIGKILL. */
  graceMs?: number
}

/** How a process ended: its exit code or signal. */
export type Exit = { code: number | null; signal: NodeJS.Signals | null }

/** Keeps the last lines of a child's output, for error messages. */
export class TailBuffer {
  readonly #lines: string[] = []
  readonly #max: number
  #partial = ''

  constructor(maxLines = 100) {
    this.#max = maxLines
  }

  /** Returns the lines that this chunk completes. */
  push(chunk: string): string[] {
    const parts = (this.#partial + chunk).split(/\r?\n|\r/)
    // Endless lines are cut: output without a newline must not use unbounded memory.
    this.#partial = (parts.pop() ?? '').slice(-4096)
    const whole = parts.filter((line) => line.length > 0).map((line) => line.slice(0, 4096))
    this.#lines.push(...whole)
    if (this.#lines.length > this.#max) this.#lines.splice(0, this.#lines.length - this.#max)
    return whole
  }

  get lines(): string[] {
    return this.#partial ? [...this.#lines, this.#partial] : [...this.#lines]
  }
}

/** A spawned process as a Resource: `closed` settles when it is gone, with its exit as the reason. */
export class Child implements Resource {
  readonly process: ChildProcess
  readonly closed: Promise<Closed>
  readonly #graceMs: number
  readonly #group: boolean
  #stopping = false
  exit: Exit | undefined

  private constructor(process: ChildProcess, options: ChildOptions) {
    this.process = process
    this.#graceMs = options.graceMs ?? 3000
    this.#group = options.group ?? false
    const { promise, resolve } = Promise.withResolvers<Closed>()
    this.closed = promise
    process.once('exit', (code, signal) => {
      this.exit = { code, signal }
      // Processes left in its group end with it.
      if (this.#group) this.#signal('SIGKILL')
      if (this.#stopping) resolve({ why: 'stopped' })
      else if (code === 0) resolve({ why: 'ended' })
      else {
        const how = signal ? `was killed by ${signal}` : `exited with code ${code}`
        resolve({
          why: 'failed',
          error: new AppError('internal', `${options.command} ${how}`, { details: { code, signal } }),
        })
      }
    })
  }

  /** Resolves when the process runs; rejects if it cannot be started. */
  static async spawn(options: ChildOptions): Promise<Child> {
    const process = spawn(options.command, options.args, {
      stdio: options.stdio,
      env: options.env,
      cwd: options.cwd,
      detached: options.group ?? false,
    })
    const child = new Child(process, options)
    await new Promise<void>((resolve, reject) => {
      process.once('spawn', resolve)
      process.once('error', (cause) =>
        reject(new AppError('internal', `could not start ${options.command}: ${cause.message}`, { cause })),
      )
    })
    // Later errors (a failed kill, a failed send) show in the exit that follows.
    process.on('error', () => {})
    return child
  }

  get pid(): number {
    return this.process.pid ?? 0
  }

  /** SIGTERM, then SIGKILL after the grace time. */
  async close(): Promise<Closed> {
    if (this.exit) return this.closed
    this.#stopping = true
    this.#signal('SIGTERM')
    try {
      return await deadline(this.closed, this.#graceMs, 'stopping the child')
    } catch {
      this.#signal('SIGKILL')
      return this.closed
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #signal(signal: NodeJS.Signals): void {
    try {
      if (this.#group && this.process.pid) process.kill(-this.process.pid, signal)
      else this.process.kill(signal)
    } catch {
      // It is already gone.
    }
  }
}
