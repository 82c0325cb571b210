import { createHash } from 'node:crypto'
import { AppError } from '../../core/errors.ts'
import type { Log } from '../../core/log.ts'
import { splitCredentials } from '../../core/secrets.ts'

/** The question sent to AUTH_URL; null for absent values. */
export type AuthQuestion = {
  action: 'publish' | 'view'
  /** Null if no single stream is concerned. */
  stream: string | null
  address: string
  token: string | null
}

const ASK_MS = 5000
const ADMITTED_MS = 30_000
const REFUSED_MS = 2000
const MAX_ANSWERS = 1000

type Kept = { answer: Promise<boolean>; until: number }

/**
 * Asks `AUTH_URL` whether a request is allowed: it gets the question as JSON by POST, and any 2xx allows it. An
 * approval is cached for 30 s, a refusal for two; equal questions in flight share one answer.
 */
export class AuthUrl {
  readonly #target: ReturnType<typeof splitCredentials>
  readonly #log: Log
  readonly #kept = new Map<string, Kept>()

  /** User and password in `url` are sent as HTTP Basic authentication. */
  constructor(url: string, log: Log) {
    this.#target = splitCredentials(url)
    this.#log = log
  }

  /** @throws AppError `peer-failed`, retryable, if there is no answer within five seconds. */
  async admits(question: AuthQuestion): Promise<boolean> {
    const now = Date.now()
    // A digest, so that tokens are not kept in memory.
    const key = createHash('sha256')
      .update(JSON.stringify(Object.values(question)))
      .digest('base64')
    const known = this.#kept.get(key)
    if (known && known.until > now) return await known.answer
    const kept: Kept = { answer: this.#ask(question), until: now + ASK_MS }
    this.#kept.delete(key)
    this.#kept.set(key, kept)
    const [oldest] = this.#kept.keys()
    if (this.#kept.size > MAX_ANSWERS && oldest !== undefined) this.#kept.delete(oldest)
    try {
      const admitted = await kept.answer
      kept.until = now + (admitted ? ADMITTED_MS : REFUSED_MS)
      return admitted
    } catch (thrown) {
      this.#kept.delete(key)
      throw thrown
    }
  }

  async #ask(question: AuthQuestion): Promise<boolean> {
    try {
      const response = await fetch(this.#target.url, {
        method: 'POST',
        headers: { ...this.#target.headers, 'content-type': 'application/json' },
        body: JSON.stringify(question),
        redirect: 'manual',
        signal: AbortSignal.timeout(ASK_MS),
      })
      await response.body?.cancel()
      return response.ok
    } catch (cause) {
      this.#log.warn({ err: cause }, 'AUTH_URL did not respond; the request was refused')
      const message = 'who may do this could not be asked (AUTH_URL); try again'
      throw new AppError('peer-failed', message, { retryable: true, cause })
    }
  }
}
