import type { Log } from '../../core/log.ts'
import type { RunnerMessage } from '../protocol.ts'

type Send = (message: RunnerMessage) => void

const INTERVAL_MS = 1000
const LINES_PER_INTERVAL = 50

/** Exceptions of author code, at most one message a second for each place they come from. */
export class ErrorReports {
  readonly #send: Send
  readonly #open = new Map<string, { message: string; count: number }>()

  constructor(send: Send) {
    this.#send = send
  }

  report(during: string, thrown: unknown): void {
    const message = describe(thrown)
    const open = this.#open.get(during)
    if (open) {
      open.message = message
      open.count++
      return
    }
    this.#send({ type: 'error', message, during, count: 1 })
    this.#open.set(during, { message, count: 0 })
    setTimeout(() => {
      const { message, count } = this.#open.get(during)!
      this.#open.delete(during)
      if (count > 0) this.#send({ type: 'error', message, during, count })
    }, INTERVAL_MS).unref()
  }
}

/** The `log` an author gets: lines go to the server, so many a second. */
export class AuthorLog {
  readonly #send: Send
  #left = LINES_PER_INTERVAL
  #lost = 0
  #since = 0

  constructor(send: Send) {
    this.#send = send
  }

  open(bound: Record<string, unknown> = {}): Log {
    const write = (level: 'debug' | 'info' | 'warn' | 'error') => (fields: object | string, message?: string) => {
      const given = typeof fields === 'string' ? {} : fields
      this.#write(level, typeof fields === 'string' ? fields : (message ?? ''), { ...bound, ...given })
    }
    return {
      debug: write('debug'),
      info: write('info'),
      warn: write('warn'),
      error: write('error'),
      child: (fields) => this.open({ ...bound, ...fields }),
    }
  }

  #write(level: 'debug' | 'info' | 'warn' | 'error', message: string, fields: Record<string, unknown>): void {
    const now = performance.now()
    if (now - this.#since >= INTERVAL_MS) {
      if (this.#lost > 0) this.#send({ type: 'log', level: 'warn', message: `${this.#lost} log lines left out` })
      this.#since = now
      this.#left = LINES_PER_INTERVAL
      this.#lost = 0
    }
    if (this.#left-- <= 0) {
      this.#lost++
      return
    }
    this.#send({ type: 'log', level, message: message.slice(0, 4096), fields: plain(fields) })
  }
}

/** As JSON would carry it, errors included; what JSON cannot carry becomes a string. */
function plain(fields: Record<string, unknown>): Record<string, unknown> {
  try {
    return JSON.parse(JSON.stringify(fields, (_, value) => (value instanceof Error ? describe(value) : value)))
  } catch {
    return { fields: String(fields) }
  }
}

/** The error and where it was thrown, short enough for a message. */
export function describe(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown).slice(0, 2000)
  const at = thrown.stack?.split('\n').find((line) => line.trimStart().startsWith('at '))
  return `${thrown.name}: ${thrown.message}${at ? ` (${at.trim()})` : ''}`.slice(0, 2000)
}
