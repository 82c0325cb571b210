import { randomUUID } from 'node:crypto'
import pRetry from 'p-retry'
import { Webhook } from 'standardwebhooks'
import type { Log } from '../core/log.ts'
import { type Closed, type Context, deadline, type Resource, Scope } from '../core/resource.ts'
import { splitCredentials } from '../core/secrets.ts'

export type DeliveryOptions = {
  /** User and password in it are sent as HTTP Basic authentication. */
  url: string
  /** `whsec_` followed by 24 to 64 bytes in base64. */
  secret: string
  /** Limit of waiting messages; beyond it the oldest are dropped. Default 1000. */
  maxWaiting?: number
  /** Pause before the second attempt; each further pause is five times as long, up to two minutes. Default 1 s. */
  firstPauseMs?: number
  /** Time limit for an answer. Default 10 s. */
  answerMs?: number
}

export type DeliveryCounts = { delivered: number; dropped: number; waiting: number }

type Message = { id: string; at: Date; body: string; type: string }

const ANSWER_MS = 10_000
/** Five attempts within about three minutes. */
const RETRIES = 4
const LAST_MS = 3000

/**
 * Sends messages to one URL, in order, signed by Standard Webhooks (standardwebhooks.com). A message not answered by
 * 2xx within ten seconds is resent four times, then dropped, counted and logged.
 */
export class Delivery implements Resource {
  readonly closed: Promise<Closed>
  readonly counts: DeliveryCounts = { delivered: 0, dropped: 0, waiting: 0 }
  readonly #options: DeliveryOptions
  readonly #target: ReturnType<typeof splitCredentials>
  readonly #signer: Webhook
  readonly #log: Log
  readonly #scope: Scope
  readonly #waiting: Message[] = []
  #sending: Promise<void> | undefined

  constructor(options: DeliveryOptions, context: Context) {
    this.#options = options
    this.#target = splitCredentials(options.url)
    this.#signer = new Webhook(options.secret)
    this.#log = context.log
    this.#scope = new Scope(context.signal)
    this.closed = this.#scope.closed
  }

  send(type: string, data: Record<string, unknown>): void {
    if (this.#scope.reason) return
    const at = new Date()
    const body = JSON.stringify({ type, timestamp: at.toISOString(), data })
    this.#waiting.push({ id: `msg_${randomUUID()}`, at, body, type })
    if (this.#waiting.length > (this.#options.maxWaiting ?? 1000)) {
      this.#giveUp(this.#waiting.shift() as Message, 'too many wait')
    }
    this.counts.waiting = this.#waiting.length
    this.#sending ??= this.#sendAll().finally(() => {
      this.#sending = undefined
    })
  }

  async #sendAll(): Promise<void> {
    for (let message = this.#next(); message; message = this.#next()) {
      try {
        await this.#deliver(message)
        this.counts.delivered++
      } catch (err) {
        this.#giveUp(message, (err as Error).message)
      }
    }
  }

  #next(): Message | undefined {
    const message = this.#waiting.shift()
    this.counts.waiting = this.#waiting.length
    return message
  }

  #giveUp({ type, id }: Message, why: string): void {
    this.counts.dropped++
    this.#log.warn({ webhook: id, type, why }, 'webhook dropped')
  }

  async #deliver(message: Message): Promise<void> {
    const attempt = async () => {
      const response = await fetch(this.#target.url, {
        method: 'POST',
        headers: this.#headers(message),
        body: message.body,
        redirect: 'manual',
        signal: AbortSignal.any([AbortSignal.timeout(this.#options.answerMs ?? ANSWER_MS), this.#scope.signal]),
      })
      await response.body?.cancel()
      if (!response.ok) throw new Error(`it was answered by ${response.status}`)
    }
    await pRetry(attempt, {
      retries: RETRIES,
      minTimeout: this.#options.firstPauseMs ?? 1000,
      factor: 5,
      maxTimeout: 120_000,
      signal: this.#scope.signal,
      shouldRetry: () => !this.#scope.signal.aborted,
    })
  }

  /** The time stamp is that of the attempt, so that receivers may refuse old ones; the id stays the same. */
  #headers({ id, body }: Message): Record<string, string> {
    const at = new Date()
    return {
      ...this.#target.headers,
      'content-type': 'application/json',
      'webhook-id': id,
      'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
      'webhook-signature': this.#signer.sign(id, at, body),
    }
  }

  /** Gives waiting messages three more seconds. */
  async close(): Promise<Closed> {
    if (this.#sending) await deadline(this.#sending, LAST_MS, 'the last webhooks').catch(() => {})
    for (const message of this.#waiting.splice(0)) this.#giveUp(message, 'the server ends')
    this.counts.waiting = 0
    return await this.#scope.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}
