// Bound: a segment is read whole, 1 MiB at most unless told, and parsed as `parseJson` says; one value comes out of each.
import { parseJson } from '../codec/json.ts'
import { AppError } from '../core/errors.ts'
import { type Closed, deadline, type Resource, Scope } from '../core/resource.ts'
import type { Publication } from './publication.ts'
import type { Subscription } from './subscription.ts'

export type JsonPublisherOptions = {
  /** Limit of messages that wait for a slow server; beyond it the oldest is dropped. */
  maxQueued?: number
}

/** Time for sending waiting messages when their publisher closes. */
const FLUSH_MS = 2000

/** Sends JSON values in order, one per segment. Owns its publication; closing it briefly sends what still waits. */
export class JsonPublisher implements Resource {
  /** Messages that did not arrive completely. */
  dropped = 0
  readonly closed: Promise<Closed>
  readonly #publication: Publication
  readonly #scope = new Scope()
  readonly #queue: Buffer[] = []
  readonly #maxQueued: number
  #draining: Promise<void> | undefined

  constructor(publication: Publication, options: JsonPublisherOptions = {}) {
    this.#publication = this.#scope.use(publication)
    this.#maxQueued = options.maxQueued ?? 256
    this.closed = this.#scope.closed
    void publication.closed.then((closed) => this.#scope.end(closed))
  }

  /** Never waits. */
  send(value: unknown): void {
    if (this.#scope.signal.aborted) return
    this.#queue.push(Buffer.from(JSON.stringify(value)))
    if (this.#queue.length > this.#maxQueued) {
      this.#queue.shift()
      this.dropped++
    }
    this.#draining ??= this.#drain()
  }

  async close(): Promise<Closed> {
    await deadline(Promise.resolve(this.#draining), FLUSH_MS, 'sending the last messages').catch(() => {})
    return this.#scope.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** One at a time: the next message waits until the server has the previous one. */
  async #drain(): Promise<void> {
    try {
      for (let message = this.#queue.shift(); message; message = this.#queue.shift()) {
        const writer = this.#publication.open()
        writer.write(message)
        writer.close()
        if (!(await writer.stored)) this.dropped++
      }
    } catch (thrown) {
      this.dropped++
      this.#scope.end({ why: 'failed', error: AppError.from(thrown, 'trickle-failed') })
    } finally {
      this.#draining = undefined
    }
  }
}

export type JsonOptions = {
  /** Longest segment in bytes. */
  maxBytes?: number
  /** Called for a segment that is too long or not JSON; reading continues. */
  onError?(error: AppError): void
  /** Default: `parseJson`. */
  parse?(text: string, what: string): unknown
}

const MAX_JSON_BYTES = 1024 * 1024

/** The JSON values of a channel, one per segment, each read completely first; `{"keep":"alive"}` is skipped. */
export async function* jsonMessages(subscription: Subscription, options: JsonOptions = {}): AsyncGenerator<unknown> {
  const { maxBytes = MAX_JSON_BYTES, onError, parse = parseJson } = options
  for await (const { seq, bytes } of subscription) {
    let value: unknown
    try {
      value = parse(await readWhole(bytes, maxBytes), 'it')
    } catch (cause) {
      const why = cause instanceof AppError && !cause.cause ? cause.message : 'it is not JSON'
      onError?.(new AppError('invalid-request', `message ${seq} was ignored: ${why}`, { cause }))
      continue
    }
    if (!isKeepalive(value)) yield value
  }
}

async function readWhole(bytes: AsyncIterable<Uint8Array>, maxBytes: number): Promise<string> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of bytes) {
    length += chunk.length
    if (length > maxBytes) throw new AppError('invalid-request', `it is longer than ${maxBytes} bytes`)
    chunks.push(chunk)
  }
  return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks))
}

function isKeepalive(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  return 'keep' in value && value.keep === 'alive' && Object.keys(value).length === 1
}
