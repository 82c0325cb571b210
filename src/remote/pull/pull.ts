import { nowMs } from '../../core/clock.ts'
import { AppError } from '../../core/errors.ts'
import type { IngestSource } from '../../core/media/endpoints.ts'
import { type Closed, type Context, type Resource, Scope, sleep } from '../../core/resource.ts'
import type { LiveStream } from '../../stream/live-stream.ts'
import type { StreamRegistry } from '../../stream/registry.ts'
import type { PullStatus } from '../../stream/remote/pull-status.ts'
import { Retries } from '../retries.ts'
import type { Input } from './input.ts'

export type PullOptions = {
  name: string
  registry: StreamRegistry
  input: Input
  pipeline?: string
  params?: Record<string, unknown>
  /** A source without data for this long counts as lost. */
  stallMs: number
}

const LOOK_MS = 500

/**
 * A stream that is pulled from another server. After a loss it is pulled again, with growing pauses, until the stream
 * ends; in between the stream continues like one whose publisher has left.
 */
export class Pull implements Resource {
  readonly closed: Promise<Closed>
  /**
   * Resolves when its media flows for the first time; rejects with the reason if it does not, and nothing is left then.
   */
  readonly started: Promise<LiveStream>
  readonly #options: PullOptions
  readonly #context: Context
  readonly #scope: Scope
  readonly #started = Promise.withResolvers<LiveStream>()
  readonly #retries: Retries
  #stream: LiveStream | undefined
  #source: IngestSource | undefined
  /** Counters of earlier attempts. */
  #past = { bytes: 0, lost: 0 }
  #state: PullStatus['state'] = 'connecting'
  #lastError: AppError | undefined
  #retryAt: number | undefined

  constructor(options: PullOptions, context: Context) {
    this.#options = options
    this.#retries = new Retries(options.input.maxPauseMs)
    this.#context = { log: context.log.child({ stream: options.name, from: options.input.from }) }
    this.#scope = new Scope(context.signal)
    this.closed = this.#scope.closed
    this.started = this.#started.promise
    this.started.catch(() => {})
    this.#scope.defer(() => this.#started.reject(new AppError('peer-failed', 'the server is shutting down')))
    this.#scope.spawn((signal) => this.#run(signal))
  }

  status(): PullStatus {
    const now = this.#source?.stats()
    return {
      type: this.#options.input.type,
      from: this.#options.input.from,
      state: this.#state,
      bytes: this.#past.bytes + (now?.bytes ?? 0),
      lost: this.#past.lost + (now?.lost ?? 0),
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
      let ranMs = 0
      let error: AppError
      try {
        this.#state = 'connecting'
        const closed = await this.#publish(signal)
        ranMs = nowMs() - began
        error = closed.error ?? new AppError('peer-failed', `${this.#options.input.from} has ended the stream`)
      } catch (thrown) {
        error = AppError.from(thrown)
        if (!this.#stream) {
          this.#started.reject(error)
          return { why: 'failed', error }
        }
        if (error.code === 'not-found') return { why: 'ended' }
      }
      if (signal.aborted || !this.#stream || this.#stream.ending) return { why: 'stopped' }
      await this.#wait(error, this.#retries.failed(ranMs), signal)
    }
  }

  /** Resolves with the reason why the publisher ended, after its media has flowed. */
  async #publish(signal: AbortSignal): Promise<Closed> {
    const { registry, name, input, pipeline, params } = this.#options
    const stallMs = input.stallMs ?? this.#options.stallMs
    if (!this.#stream) registry.checkPublish(name)
    const source = await input.open({ signal, log: this.#context.log })
    this.#source = source
    try {
      const publication = await registry.publish(name, {
        // Changes since the start are kept.
        ...(!this.#stream && pipeline !== undefined && { pipeline }),
        ...(!this.#stream && params && { params }),
        open: async (inner) => {
          // It was opened before the publication, which cannot end while packets are awaited.
          inner.signal?.addEventListener('abort', () => void source.close(), { once: true })
          return source
        },
      })
      if (!this.#stream) this.#start(registry.get(name))
      this.#state = 'running'
      const stalled = await this.#watch(source, publication, stallMs)
      const closed = await publication.closed
      return stalled ? { why: 'failed', error: stalled } : closed
    } finally {
      await source.close()
      const { bytes, lost } = source.stats()
      this.#source = undefined
      this.#past = { bytes: this.#past.bytes + bytes, lost: this.#past.lost + lost }
    }
  }

  #start(stream: LiveStream): void {
    this.#stream = stream
    this.#scope.defer(stream.keep(() => this.status()))
    void stream.closed.then((closed) => this.#scope.end(closed))
    this.#started.resolve(stream)
  }

  /** Watches until the publication ends; ends it, and returns the reason, if no more data comes. */
  async #watch(source: IngestSource, publication: Resource, stallMs: number): Promise<AppError | undefined> {
    let bytes = source.stats().bytes
    let movedAt = nowMs()
    for (;;) {
      const ended = await Promise.race([publication.closed, sleep(LOOK_MS)])
      if (ended) return undefined
      const now = nowMs()
      if (source.stats().bytes !== bytes) movedAt = now
      bytes = source.stats().bytes
      if (now - movedAt < stallMs) continue
      await publication.close()
      const message = `${this.#options.input.from} has sent nothing for ${stallMs / 1000} s`
      return new AppError('timeout', message, { retryable: true })
    }
  }

  async #wait(error: AppError, ms: number, signal: AbortSignal): Promise<void> {
    this.#lastError = error
    this.#state = 'waiting'
    this.#retryAt = Date.now() + ms
    this.#context.log.warn({ err: error, retryInMs: ms }, 'pulled stream disconnected')
    this.#stream?.events.emit({ type: 'error', source: 'ingest', message: error.message })
    await sleep(ms, signal)
    this.#retryAt = undefined
  }
}
