import type { ClientRequest, IncomingMessage } from 'node:http'
import { AppError } from '../../core/errors.ts'
import { type Closed, type Context, Scope, sleep } from '../../core/resource.ts'
import * as header from '../headers.ts'
import type { IncomingSegment, Start, Subscription } from '../subscription.ts'
import { numberHeader, readText, TrickleClient, type TrickleClientOptions } from './http.ts'

export type SubscriberOptions = TrickleClientOptions & {
  /** Where to begin; default -1, the next segment. */
  start?: Start
  /** A request without an answer for this long is repeated; default 20 s, as in the original. */
  rereadMs?: number
  /** A segment that brings no byte for this long is requested again from where it stopped. */
  bodyIdleMs?: number
  /** Consecutive failed connections before the subscription fails. */
  maxFailures?: number
}

const DEFAULTS = { start: -1, rereadMs: 20_000, bodyIdleMs: 60_000, maxFailures: 5 }
const OPEN_TIMEOUT_MS = 10_000
const RETRY_MS = 250
const RESTART_DISTANCE = 5

type Reply = { response: IncomingMessage; seq: number }

/**
 * Reads a channel of another server; contract §2.7. The request for the next segment waits at the server while this one
 * is read. Rejects with `not-found` if there is no such channel, `trickle-failed` if the server cannot be reached.
 */
export async function openTrickleSubscriber(options: SubscriberOptions, context: Context): Promise<Subscription> {
  const client = new TrickleClient(options)
  try {
    // Old servers parse `next` as a number and answer 400: the channel exists.
    const answer = await client.call('GET', '/next', {}, OPEN_TIMEOUT_MS)
    if (answer.status !== 200 && answer.status !== 400) throw client.refusal(answer)
    return new RemoteSubscription(client, options, context)
  } catch (thrown) {
    client.destroy()
    throw thrown
  }
}

class RemoteSubscription implements Subscription {
  readonly closed: Promise<Closed>
  missed = 0
  readonly #client: TrickleClient
  readonly #options: Required<Pick<SubscriberOptions, keyof typeof DEFAULTS>>
  readonly #scope: Scope
  readonly #requests = new Set<ClientRequest>()

  constructor(client: TrickleClient, options: SubscriberOptions, context: Context) {
    this.#client = client
    this.#options = { ...DEFAULTS, ...options }
    this.#scope = new Scope(context.signal)
    this.closed = this.#scope.closed
    this.#scope.defer(() => {
      for (const request of this.#requests) request.destroy()
      client.destroy()
    })
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<IncomingSegment> {
    let pending = this.#fetch(this.#options.start)
    try {
      for (;;) {
        const reply = await pending
        if (!reply) break
        const { response, seq } = reply
        pending = this.#fetch(seq + 1)
        // Its failure is handled in the next turn, or never if the consumer leaves.
        pending.catch(() => {})
        yield { seq, mime: response.headers['content-type'] ?? '', bytes: this.#body(reply) }
        if (!response.readableEnded) response.destroy()
      }
      this.#scope.end({ why: 'ended' })
    } catch (thrown) {
      if (this.#scope.signal.aborted) return
      this.#scope.end({ why: 'failed', error: this.#client.failure(thrown) })
      throw this.#client.failure(thrown)
    } finally {
      this.#scope.end({ why: 'stopped' })
    }
  }

  /** The segment `from`, or the one to continue with if it is gone; `undefined` after the channel's end. */
  async #fetch(from: number): Promise<Reply | undefined> {
    const { signal } = this.#scope
    let failures = 0
    let turns = 0
    for (let seq = from; ; ) {
      const response = await this.#get(seq).catch((thrown: unknown) => this.#client.failure(thrown))
      signal.throwIfAborted()
      if (response === undefined) continue
      if (response instanceof AppError) {
        if (++failures > this.#options.maxFailures) throw response
        await sleep(RETRY_MS * 2 ** (failures - 1), signal)
        continue
      }
      failures = 0
      const { statusCode: status = 0, headers } = response
      if (headers[header.CLOSED.toLowerCase()] !== undefined || status === 404) {
        response.resume()
        return undefined
      }
      if (status === 200) return { response, seq: numberHeader(headers, header.SEQ) ?? seq }
      if (status !== header.NO_SUCH_SEGMENT) {
        throw this.#client.refusal({ status, headers, text: await readText(response) })
      }
      response.resume()
      // Limits the rate if a server sends its reader back and forth.
      if (turns++ > 0) await sleep(RETRY_MS, signal)
      seq = await this.#goOn(seq, numberHeader(headers, header.LATEST))
    }
  }

  /** Where to continue if `seq` was missing: at the head, or with `seq` again a little later if it is about to come. */
  async #goOn(seq: number, latest = -1): Promise<number> {
    if (latest > seq) {
      if (seq >= 0) this.missed += latest - seq
      return latest
    }
    await sleep(RETRY_MS, this.#scope.signal)
    // Far ahead of the head only if a new publisher started over, or the server does not report the head.
    return latest < seq - RESTART_DISTANCE || latest === -1 ? latest : seq
  }

  /** One request; `undefined` if the server was silent for too long. */
  #get(seq: number): Promise<IncomingMessage | undefined> {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage | undefined>()
    const request = this.#client.request('GET', `/${seq}`)
    this.#requests.add(request)
    const timer = setTimeout(() => {
      resolve(undefined)
      request.destroy()
    }, this.#options.rereadMs)
    request.on('response', (response: IncomingMessage) => {
      clearTimeout(timer)
      // It may break before anybody reads it.
      response.on('error', () => {})
      response.setTimeout(this.#options.bodyIdleMs, () => response.destroy(new Error('no byte came in time')))
      resolve(response)
    })
    request.on('error', reject)
    request.on('close', () => {
      clearTimeout(timer)
      this.#requests.delete(request)
      reject(new Error('the connection was closed'))
    })
    request.end()
    return promise
  }

  /** An interrupted body is requested again, from the byte where it broke. */
  async *#body(first: Reply): AsyncGenerator<Uint8Array> {
    let received = 0
    let failures = 0
    for (let reply: Reply | undefined = first; reply; reply = await this.#again(first.seq)) {
      let skip = received
      try {
        for await (const chunk of reply.response as AsyncIterable<Buffer>) {
          const fresh = chunk.subarray(Math.min(skip, chunk.length))
          skip -= chunk.length - fresh.length
          received += fresh.length
          if (fresh.length > 0) failures = 0
          if (fresh.length > 0) yield fresh
        }
        return
      } catch {
        if (this.#scope.signal.aborted || ++failures > this.#options.maxFailures) return
        if (failures > 1) await sleep(RETRY_MS * 2 ** (failures - 2), this.#scope.signal).catch(() => {})
      }
    }
  }

  async #again(seq: number): Promise<Reply | undefined> {
    const response = await this.#get(seq).catch(() => undefined)
    if (response?.statusCode === 200 && numberHeader(response.headers, header.SEQ) === seq) return { response, seq }
    response?.destroy()
    return undefined
  }

  close(): Promise<Closed> {
    return this.#scope.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}
