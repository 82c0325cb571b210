import { AppError } from '../core/errors.ts'
import { type Closed, deadline, type Resource, Scope } from '../core/resource.ts'
import type { Publication } from './publication.ts'
import type { Subscription } from './subscription.ts'

export type JsonPublisherOptions = {
  /** Messages that may wait for a slow server; one more throws the oldest away. */
  maxQueued?: number
}

/** How long messages may still go out when their publisher closes. */
const FLUSH_MS = 2000

/** Sends JSON values, one a segment, in order. Owns its publication; closing it sends what still waits, for a moment. */
export class JsonPublisher implements Resource {
  /** Messages that did not arrive whole. */
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

  /** One at a time: the next message waits until the server has the one before. */
  async #drain(): Promise<void> {
    for (let message = this.#queue.shift(); message; message = this.#queue.shift()) {
      const writer = this.#publication.open()
      writer.write(message)
      writer.close()
      if (!(await writer.stored)) this.dropped++
    }
    this.#draining = undefined
  }
}

export type JsonOptions = {
  /** Longest segment in bytes. */
  maxBytes?: number
  /** Told of a segment that is too long or no JSON; reading goes on. */
  onError?(error: AppError): void
}

const MAX_JSON_BYTES = 1024 * 1024

/** The JSON values of a channel, one a segment, each read whole first; `{"keep":"alive"}` is left out. */
export async function* jsonMessages(subscription: Subscription, options: JsonOptions = {}): AsyncGenerator<unknown> {
  const { maxBytes = MAX_JSON_BYTES, onError } = options
  for await (const { seq, bytes } of subscription) {
    let value: unknown
    try {
      value = JSON.parse(await readWhole(bytes, maxBytes))
    } catch (cause) {
      const why = cause instanceof AppError ? cause.message : 'it is not JSON'
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
