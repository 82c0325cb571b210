import { randomBytes } from 'node:crypto'
import { nowMs } from '../../core/clock.ts'
import { AppError, type AppErrorJson } from '../../core/errors.ts'
import type { EgressSink } from '../../core/media/endpoints.ts'
import { type Closed, type Context, type Resource, Scope, sleep } from '../../core/resource.ts'
import type { LiveStream } from '../../stream/live-stream.ts'
import { Retries } from '../retries.ts'
import type { Output } from './output.ts'

export type PushStatus = {
  id: string
  stream: string
  type: string
  /** Scheme, host and port: the rest of the URL may be secret. */
  to: string
  state: 'connecting' | 'running' | 'waiting' | 'ended'
  /** Milliseconds since 1970. */
  startedAt: number
  /** Bytes sent over all connections. */
  bytes: number
  /** Packets dropped because the target was too slow. */
  dropped: number
  /** Failed connections since the start. */
  failures: number
  lastError: AppErrorJson | null
  /** Time of the next attempt, ISO 8601; null unless it waits for one. */
  retryAt: string | null
}

/**
 * A stream's output, sent to a target until the stream ends or this is closed. After a loss it reconnects with growing
 * pauses; a slow target affects neither the stream nor other targets.
 */
export class Push implements Resource {
  readonly id = randomBytes(6).toString('hex')
  readonly closed: Promise<Closed>
  readonly #stream: LiveStream
  readonly #output: Output
  readonly #context: Context
  readonly #scope: Scope
  readonly #retries: Retries
  readonly #startedAt = Date.now()
  #state: PushStatus['state'] = 'connecting'
  #sink: EgressSink | undefined
  /** Counters of earlier attempts. */
  #past = { bytes: 0, dropped: 0 }
  #lastError: AppError | undefined
  #retryAt: number | undefined

  constructor(stream: LiveStream, output: Output, context: Context) {
    this.#stream = stream
    this.#output = output
    this.#retries = new Retries(output.maxPauseMs)
    this.#context = { log: context.log.child({ stream: stream.name, output: this.id, to: output.to }) }
    this.#scope = new Scope(context.signal)
    this.closed = this.#scope.closed
    this.#scope.spawn((signal) => this.#run(signal))
    void this.closed.then(() => {
      this.#state = 'ended'
      this.#tell('ended')
    })
  }

  status(): PushStatus {
    const now = this.#sink?.stats()
    return {
      id: this.id,
      stream: this.#stream.name,
      type: this.#output.type,
      to: this.#output.to,
      state: this.#state,
      startedAt: this.#startedAt,
      bytes: this.#past.bytes + (now?.bytes ?? 0),
      dropped: this.#past.dropped + (now?.dropped ?? 0),
      failures: this.#retries.failures,
      lastError: this.#lastError?.toJSON() ?? null,
      retryAt: this.#retryAt === undefined ? null : new Date(this.#retryAt).toISOString(),
    }
  }

  close(): Promise<Closed> {
    return this.#scope.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #run(signal: AbortSignal): Promise<Closed> {
    for (;;) {
      const began = nowMs()
      let error: AppError
      try {
        this.#state = 'connecting'
        const closed = await this.#send(signal)
        if (!closed.error && (signal.aborted || this.#stream.ending)) return closed
        error = closed.error ?? new AppError('peer-failed', `${this.#output.to} has ended the output`)
      } catch (thrown) {
        error = AppError.from(thrown)
        if (error.code === 'conflict') return { why: 'failed', error }
      }
      if (signal.aborted || this.#stream.ending) return { why: 'ended' }
      await this.#wait(error, this.#retries.failed(nowMs() - began), signal)
    }
  }

  async #send(signal: AbortSignal): Promise<Closed> {
    // Packets that become stale while connecting are not a viewer's loss.
    const reader = this.#stream.subscribe('output', 'h264', { ownLosses: true })
    const needs = {
      requestKeyframe: () => this.#stream.requestKeyframe('output', 'h264'),
      hasAudio: () => Boolean(this.#stream.status().ingest?.audio),
      data: () => this.#stream.data.subscribe(),
    }
    const sink = await this.#output.open(reader, needs, { signal, log: this.#context.log })
    this.#sink = sink
    this.#state = 'running'
    this.#tell('running')
    const unfollow = this.#stream.followTarget(() => sink.stats().availableKbps)
    const closed = await sink.closed
    unfollow()
    const { bytes, dropped } = sink.stats()
    this.#sink = undefined
    this.#past = { bytes: this.#past.bytes + bytes, dropped: this.#past.dropped + dropped }
    return closed
  }

  async #wait(error: AppError, ms: number, signal: AbortSignal): Promise<void> {
    this.#lastError = error
    this.#state = 'waiting'
    this.#retryAt = Date.now() + ms
    this.#context.log.warn({ err: error, retryInMs: ms }, 'output disconnected')
    this.#tell('lost', error)
    await sleep(ms, signal)
    this.#retryAt = undefined
  }

  #tell(status: 'running' | 'lost' | 'ended', error?: AppError): void {
    const { type, to } = this.#output
    const told = { type: 'output', status, output: this.id, kind: type, to } as const
    this.#stream.events.emit(error ? { ...told, error: error.toJSON() } : told)
  }
}
