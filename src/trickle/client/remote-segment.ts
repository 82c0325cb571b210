import type { ClientRequest, IncomingMessage } from 'node:http'
import { nowMs } from '../../core/clock.ts'
import type { AppError } from '../../core/errors.ts'
import * as header from '../headers.ts'
import type { SegmentWriter } from '../publication.ts'
import { readText, type TrickleClient } from './http.ts'

/** The outcome of a posted segment. */
export type Outcome =
  /** The server has all of it. */
  | { kind: 'stored' }
  /** The server ended it early: later bytes are discarded. */
  | { kind: 'cut' }
  /** The server has closed the channel. */
  | { kind: 'closed' }
  /** There is no such channel. */
  | { kind: 'missing'; error: AppError }
  /** Refused, or interrupted after some bytes were sent. */
  | { kind: 'lost'; error: AppError }
  /** Aborted on this side. */
  | { kind: 'aborted' }

export type RemoteSegmentOptions = {
  seq: number
  client: TrickleClient
  headers: Record<string, string>
  /** How long the server may neither take bytes nor answer. */
  stallMs: number
  /** Whether `bytes` more may wait to be sent. */
  hasRoom(bytes: number): boolean
  /** The connection broke before any byte was sent: call `connect()` again, or leave it. */
  onUnsent(segment: RemoteSegment, livedMs: number): void
  onSettled(segment: RemoteSegment, outcome: Outcome): void
}

/** One POST to another server, made before its segment begins; bytes are sent as they are written. */
export class RemoteSegment implements SegmentWriter {
  readonly seq: number
  /** Bytes handed to the connection. */
  sentBytes = 0
  /** True once its publisher uses it: from then on its loss counts. */
  begun = false
  /** Why its connection broke last. */
  failure: AppError
  readonly #options: RemoteSegmentOptions
  readonly #stored = Promise.withResolvers<boolean>()
  readonly #queue: Uint8Array[] = []
  #queuedBytes = 0
  #request: ClientRequest | undefined
  #connectedMs: number | undefined
  #blocked = false
  #ended = false
  #settled = false
  #stall: NodeJS.Timeout | undefined

  constructor(options: RemoteSegmentOptions) {
    this.seq = options.seq
    this.#options = options
    this.failure = options.client.failure('not connected')
    this.connect()
  }

  get stored(): Promise<boolean> {
    return this.#stored.promise
  }

  /** True once its outcome is known. */
  get settled(): boolean {
    return this.#settled
  }

  get unsentBytes(): number {
    return this.#queuedBytes + (this.#request?.writableLength ?? 0)
  }

  connect(): void {
    if (this.#settled) return
    const request = this.#options.client.request('POST', `/${this.seq}`, this.#options.headers)
    this.#request = request
    request.on('socket', (socket) => {
      if (!socket.connecting) this.#connected(request)
      else socket.once(this.#options.client.secure ? 'secureConnect' : 'connect', () => this.#connected(request))
    })
    request.on('drain', () => {
      this.#blocked = false
      this.#flush()
    })
    request.on('response', (response: IncomingMessage) => void this.#answered(response))
    request.on('error', (error) => this.#broke(request, error))
    request.flushHeaders()
  }

  write(chunk: Uint8Array): boolean {
    if (this.#settled || this.#ended) return false
    if (!this.#options.hasRoom(chunk.length)) {
      this.abort()
      return false
    }
    this.#queue.push(chunk)
    this.#queuedBytes += chunk.length
    this.#flush()
    return true
  }

  close(): void {
    if (this.#settled || this.#ended) return
    this.#ended = true
    this.#flush()
  }

  abort(): void {
    this.#settle({ kind: 'aborted' })
  }

  /** Like abort, but reports nothing. */
  destroy(): void {
    this.#settled = true
    this.#stored.resolve(false)
    this.#release(false)
  }

  #connected(request: ClientRequest): void {
    if (request !== this.#request) return
    this.#connectedMs = nowMs()
    this.#flush()
  }

  #flush(): void {
    const request = this.#request
    if (!request || this.#connectedMs === undefined || this.#settled) return
    while (!this.#blocked) {
      const chunk = this.#queue.shift()
      if (!chunk) break
      this.#queuedBytes -= chunk.length
      this.sentBytes += chunk.length
      this.#blocked = !request.write(chunk)
    }
    clearTimeout(this.#stall)
    const outstanding = this.#ended || this.#blocked
    if (this.#ended && this.#queue.length === 0) request.end()
    if (outstanding) this.#stall = setTimeout(() => this.#stalled(), this.#options.stallMs)
  }

  #stalled(): void {
    const { client, stallMs } = this.#options
    this.#settle({ kind: 'lost', error: client.failure(new Error(`nothing taken or answered in ${stallMs} ms`)) })
  }

  async #answered(response: IncomingMessage): Promise<void> {
    const { client } = this.#options
    const { statusCode: status = 0, headers } = response
    const text = await readText(response).catch(() => '')
    if (headers[header.CLOSED.toLowerCase()] !== undefined) this.#settle({ kind: 'closed' })
    else if (status === 404) this.#settle({ kind: 'missing', error: client.refusal({ status, headers, text }) })
    else if (status >= 300) this.#settle({ kind: 'lost', error: client.refusal({ status, headers, text }) })
    else this.#settle({ kind: this.#request?.writableEnded ? 'stored' : 'cut' })
  }

  #broke(request: ClientRequest, thrown: Error): void {
    if (this.#settled || request !== this.#request) return
    this.failure = this.#options.client.failure(thrown)
    if (this.sentBytes > 0) {
      this.#settle({ kind: 'lost', error: this.failure })
      return
    }
    const livedMs = this.#connectedMs === undefined ? 0 : nowMs() - this.#connectedMs
    this.#request = undefined
    this.#connectedMs = undefined
    clearTimeout(this.#stall)
    this.#options.onUnsent(this, livedMs)
  }

  #settle(outcome: Outcome): void {
    if (this.#settled) return
    this.#settled = true
    const stored = outcome.kind === 'stored'
    this.#stored.resolve(stored)
    this.#release(stored)
    this.#options.onSettled(this, outcome)
  }

  /** A connection whose request was fully answered returns to the pool; any other cannot be reused. */
  #release(reusable: boolean): void {
    clearTimeout(this.#stall)
    this.#queue.length = 0
    this.#queuedBytes = 0
    if (!reusable) this.#request?.destroy()
  }
}
