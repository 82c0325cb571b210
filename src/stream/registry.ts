import { AppError } from '../core/errors.ts'
import { type Closed, type Context, deadline, type Resource, Scope } from '../core/resource.ts'
import { LiveStream, type Publication, type PublishOptions, type StreamDeps } from './live-stream.ts'

/** Trickle channels that belong to a stream are named after it with one of these. */
const RESERVED = /-(out|events|control)$/
const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/

/** Seconds after which a publisher who was refused for want of room may ask again. */
export const RETRY_AFTER_SECONDS = 5

/** The release of a pipeline that is busy takes seconds; its process is ended then. */
const ENDING_MS = 10_000

export type RegistryOptions = StreamDeps & { maxStreams: number }

/** All streams of the server, by name, and the door through which they begin. */
export class StreamRegistry implements Resource {
  readonly closed: Promise<Closed>
  readonly #options: RegistryOptions
  readonly #context: Context
  readonly #scope: Scope
  readonly #streams = new Map<string, LiveStream>()
  #draining = false

  constructor(options: RegistryOptions, context: Context) {
    this.#options = options
    this.#scope = new Scope(context.signal)
    this.#context = { signal: this.#scope.signal, log: context.log }
    this.closed = this.#scope.closed
    this.#scope.defer(() => Promise.all([...this.#streams.values()].map((stream) => stream.close())))
  }

  get maxStreams(): number {
    return this.#options.maxStreams
  }

  /** True once no new stream is taken any more. */
  get draining(): boolean {
    return this.#draining || this.#scope.signal.aborted
  }

  get streams(): LiveStream[] {
    return [...this.#streams.values()]
  }

  /** @throws AppError `not-found`, naming what there is. */
  get(name: string): LiveStream {
    const stream = this.#streams.get(checkStreamName(name))
    if (!stream) {
      const names = [...this.#streams.keys()]
      throw new AppError(
        'not-found',
        `there is no stream "${name}"; ${names.length > 0 ? `running: ${names.join(', ')}` : 'none is running'}`,
      )
    }
    return stream
  }

  /**
   * The stream of that name; a new one, waiting for its publisher, when there is none. One that is ending is waited for:
   * the release of its pipeline may take seconds.
   * @throws AppError `capacity`; retryable when the one before does not end in time.
   */
  async getOrOpen(name: string): Promise<LiveStream> {
    const existing = this.#streams.get(checkStreamName(name))
    if (existing?.ending) await this.#end(existing)
    return this.#openNow(name)
  }

  #openNow(name: string): LiveStream {
    const existing = this.#streams.get(name)
    if (existing) return existing
    this.#checkRoom()
    const stream = new LiveStream(name, this.#options, this.#context)
    this.#streams.set(name, stream)
    void stream.closed.then((closed) => {
      this.#streams.delete(name)
      this.#context.log.info({ stream: name, why: closed.why, err: closed.error }, 'stream ended')
    })
    return stream
  }

  /** Publishes into a stream; one that was opened only for this publisher is gone again when that fails. */
  async publish(name: string, options: PublishOptions): Promise<Publication> {
    const existing = this.#streams.get(checkStreamName(name))
    if (existing?.ending) await this.#end(existing)
    const isNew = !this.#streams.has(name)
    const stream = this.#openNow(name)
    try {
      return await stream.publish(options)
    } catch (thrown) {
      if (isNew && stream.viewers === 0) await stream.close()
      throw thrown
    }
  }

  /** @throws AppError what `publish` would at once: `conflict` or `capacity`. */
  checkPublish(name: string): void {
    const existing = this.#streams.get(name)
    if (existing?.ending) return
    if (existing) existing.checkPublish()
    else this.#checkRoom()
  }

  /** For who cannot wait. @throws AppError `capacity`, retryable, while a stream of that name is ending. */
  checkNotEnding(name: string): void {
    const existing = this.#streams.get(name)
    if (existing?.ending) throw this.#stillEnding(existing)
  }

  async #end(stream: LiveStream): Promise<void> {
    await deadline(stream.closed, ENDING_MS, 'the end of the stream before').catch(() => {
      throw this.#stillEnding(stream)
    })
  }

  #stillEnding({ name }: LiveStream): AppError {
    return new AppError('capacity', `the stream "${name}" is still ending; try again`, {
      retryable: true,
      details: { retryAfterSeconds: 1 },
    })
  }

  /** From now on only the streams there are take publishers and viewers. */
  drain(): void {
    this.#draining = true
  }

  #checkRoom(): void {
    const { maxStreams } = this.#options
    const options = { retryable: true, details: { retryAfterSeconds: RETRY_AFTER_SECONDS } }
    if (this.draining) {
      throw new AppError('capacity', 'the server is shutting down and takes no new streams', options)
    }
    if (this.#streams.size < maxStreams) return
    throw new AppError('capacity', `all ${maxStreams} streams of this server are taken (MAX_STREAMS)`, options)
  }

  close(): Promise<Closed> {
    return this.#scope.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

/** Returns the name. @throws AppError `invalid-request`, saying what a name may be. */
export function checkStreamName(name: string): string {
  if (RESERVED.test(name)) {
    throw new AppError(
      'invalid-request',
      `"${name}" is not a stream name: "-out", "-events" and "-control" at the end name the channels of a stream`,
    )
  }
  if (NAME.test(name)) return name
  throw new AppError(
    'invalid-request',
    `"${name.slice(0, 100)}" is not a stream name: use 1 to 64 letters, digits, "_", "." or "-", beginning with a letter or digit`,
  )
}
