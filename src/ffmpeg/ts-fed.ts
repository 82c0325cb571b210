import type { Writable } from 'node:stream'
import { Child, type Exit } from '../core/child.ts'
import { type Closed, deadline, type Resource } from '../core/resource.ts'

export type TsFedOptions = {
  /** Path of the program. */
  ffmpeg: string
  /** Arguments before the input. */
  options: readonly string[]
  /** Arguments after it: output format and destination. */
  output: readonly string[]
  /** Called with each line that ffmpeg prints. */
  onLine(line: string): void
}

/** An ffmpeg that is fed MPEG-TS and copies it elsewhere. Writing never blocks; the amount not yet taken is known. */
export class TsFed implements Resource {
  /** Settles when all its messages were read. */
  readonly closed: Promise<Closed>
  readonly #child: Child
  readonly #stdin: Writable

  private constructor(child: Child) {
    const { stderr } = child.process
    const silent = new Promise<void>((resolve) => stderr?.once('close', resolve))
    this.#child = child
    this.closed = child.closed.then(async (closed) => {
      await silent
      return closed
    })
    this.#stdin = child.process.stdin as Writable
    // The end of a child is noticed by its exit.
    this.#stdin.on('error', () => {})
  }

  static async open({ ffmpeg, options, output, onLine }: TsFedOptions): Promise<TsFed> {
    const input = [...options, '-f', 'mpegts', '-protocol_whitelist', 'pipe', '-i', 'pipe:0']
    const child = await Child.spawn({
      command: ffmpeg,
      args: ['-hide_banner', '-nostats', ...input, ...output],
      stdio: ['pipe', 'ignore', 'pipe'],
      graceMs: 2000,
    })
    let rest = ''
    child.process.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
      const lines = (rest + chunk).split(/\r?\n|\r/)
      rest = (lines.pop() ?? '').slice(-4096)
      for (const line of lines) if (line) onLine(line)
    })
    return new TsFed(child)
  }

  get pid(): number {
    return this.#child.pid
  }

  get exit(): Exit | undefined {
    return this.#child.exit
  }

  /** Bytes written and not yet taken. */
  get waitingBytes(): number {
    return this.#stdin.writableLength
  }

  /** Whether more is written than fits the pipe. */
  get full(): boolean {
    return this.#stdin.writableNeedDrain && !this.exit
  }

  write(bytes: Uint8Array): void {
    if (!this.exit) this.#stdin.write(bytes)
  }

  /** Resolves when everything written was taken, or nothing will be any more. */
  async drained(): Promise<void> {
    if (!this.full) return
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#stdin.once('drain', resolve)
    await Promise.race([promise, this.closed])
    this.#stdin.off('drain', resolve)
  }

  /** Ends the input: ffmpeg finishes its output and exits. @throws AppError `timeout`; it is then killed. */
  async finish(ms: number, what: string): Promise<void> {
    this.#stdin.end()
    await deadline(this.closed, ms, what).finally(() => this.#child.close())
  }

  async close(): Promise<Closed> {
    this.#stdin.destroy()
    await this.#child.close()
    return await this.closed
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}
