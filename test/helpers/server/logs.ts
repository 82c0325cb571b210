import type { Log } from '../../../src/core/log.ts'

/** One line of pino's output. */
export type LogLine = { level: number; msg?: string } & Record<string, unknown>

const LEVELS = { debug: 20, info: 30, warn: 40, error: 50 } as const

/** Collects log lines for a test: as a `Log` in this process, or fed with a child's JSON lines. */
export class LogCollector {
  readonly lines: LogLine[] = []
  /** Output that is not JSON. */
  readonly other: string[] = []
  readonly #watchers = new Set<() => void>()

  /** A logger that writes here. */
  get log(): Log {
    return this.#logger({})
  }

  /** Takes one line of a child's output. */
  feed(line: string): void {
    try {
      const value: unknown = JSON.parse(line)
      if (value && typeof value === 'object' && 'level' in value) this.#add(value as LogLine)
      else this.other.push(line)
    } catch {
      this.other.push(line)
    }
  }

  /** Lines with this message. */
  named(message: string): LogLine[] {
    return this.lines.filter((line) => line.msg === message)
  }

  /** Lines of level warn and above. */
  get complaints(): LogLine[] {
    return this.lines.filter((line) => line.level >= LEVELS.warn)
  }

  /** Resolves with the first matching line, past or future. */
  async waitFor(fits: (line: LogLine) => boolean, what: string, limitMs = 20_000): Promise<LogLine> {
    const { promise, resolve, reject } = Promise.withResolvers<LogLine>()
    const look = () => {
      const found = this.lines.find(fits)
      if (found) resolve(found)
    }
    const timer = setTimeout(() => reject(new Error(`no log line ${what} within ${limitMs} ms:\n${this}`)), limitMs)
    this.#watchers.add(look)
    try {
      look()
      return await promise
    } finally {
      clearTimeout(timer)
      this.#watchers.delete(look)
    }
  }

  /** All output. */
  get text(): string {
    return this.#all.join('\n')
  }

  /** The end of it, for messages. */
  toString(): string {
    return this.#all.slice(-40).join('\n')
  }

  get #all(): string[] {
    return [...this.lines.map((line) => JSON.stringify(line)), ...this.other]
  }

  #add(line: LogLine): void {
    this.lines.push(line)
    for (const watcher of [...this.#watchers]) watcher()
  }

  #logger(bound: Record<string, unknown>): Log {
    const write = (level: number) => (fields: object | string, message?: string) => {
      if (typeof fields === 'string') this.#add({ ...bound, level, msg: fields })
      else this.#add({ ...bound, ...fields, level, ...(message !== undefined && { msg: message }) })
    }
    return {
      debug: write(LEVELS.debug),
      info: write(LEVELS.info),
      warn: write(LEVELS.warn),
      error: write(LEVELS.error),
      child: (fields) => this.#logger({ ...bound, ...fields }),
    }
  }
}
