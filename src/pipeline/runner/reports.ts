import type { Log } from '../../core/log.ts'
import type { RunnerMessage } from '../protocol.ts'
import { authorPlace, authorStack, isError } from './author-stack.ts'

type Send = (message: RunnerMessage) => void

const INTERVAL_MS = 1000
const LINES_PER_INTERVAL = 50
const MAX_CAUSES = 4

/** Reports exceptions of author code, at most one message per second for each place that throws. */
export class ErrorReports {
  readonly #send: Send
  readonly #open = new Map<string, { thrown: unknown; count: number }>()

  constructor(send: Send) {
    this.#send = send
  }

  report(during: string, thrown: unknown): void {
    const open = this.#open.get(during)
    if (open) {
      open.thrown = thrown
      open.count++
      return
    }
    this.#tell(during, thrown, 1)
    this.#open.set(during, { thrown, count: 0 })
    setTimeout(() => {
      const { thrown, count } = this.#open.get(during)!
      this.#open.delete(during)
      if (count > 0) this.#tell(during, thrown, count)
    }, INTERVAL_MS).unref()
  }

  #tell(during: string, thrown: unknown, count: number): void {
    const stack = authorStack(thrown)
    this.#send({ type: 'error', message: describe(thrown), during, count, ...(stack.length > 0 && { stack }) })
  }
}

/** The author's `log`: rate-limited, because lines are sent to the server. */
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

/** As JSON, with errors spelled out; what JSON cannot hold becomes a string. */
function plain(fields: Record<string, unknown>): Record<string, unknown> {
  try {
    return JSON.parse(JSON.stringify(fields, (_, value) => (value instanceof Error ? describe(value) : value)))
  } catch {
    return { fields: String(fields) }
  }
}

/** The error, the author's line that threw it, and its causes, short enough for a message. */
export function describe(thrown: unknown): string {
  const parts = [inOneLine(thrown)]
  for (let error = causeOf(thrown); error !== undefined && parts.length < MAX_CAUSES; error = causeOf(error))
    parts.push(inOneLine(error))
  return parts.join('; caused by ').slice(0, 2000)
}

/** Of an error of several, such as that of `Promise.any`, the first. */
function causeOf(thrown: unknown): unknown {
  try {
    if (!isError(thrown)) return undefined
    return thrown.cause ?? (thrown as Partial<AggregateError>).errors?.[0]
  } catch {
    return undefined
  }
}

function inOneLine(thrown: unknown): string {
  try {
    if (!isError(thrown)) return wordsOf(thrown)
    const place = authorPlace(thrown)
    return `${thrown.name}: ${thrown.message}${place ? ` (${place})` : ''}`
  } catch {
    return 'something was thrown that cannot be told in words'
  }
}

/** Libraries throw plain objects too, some with a message. */
function wordsOf(thrown: unknown): string {
  if (thrown === null || typeof thrown !== 'object') return String(thrown)
  const { message } = thrown as { message?: unknown }
  return typeof message === 'string' ? message : (JSON.stringify(thrown) ?? String(thrown))
}
