import { AppError } from '../core/errors.ts'
import { VIEWER_CODECS, type VideoCodec, type ViewerCodec } from '../core/media/packet.ts'
import { type Closed, type Context, deadline, type Resource, Scope } from '../core/resource.ts'
import type { StreamEvent } from './events.ts'
import type { Publication, PublishOptions } from './input/publication.ts'
import { LiveStream, type StreamDeps } from './live-stream.ts'

/** Suffixes of the trickle channels that belong to a stream. */
export const CHANNEL_OF_STREAM = /-(out|events|data|control)$/
const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/

/** Seconds after which a refused publisher may ask again. */
export const RETRY_AFTER_SECONDS = 5

/** Releasing a busy pipeline takes seconds; its process is killed after that. */
const ENDING_MS = 10_000

export type RegistryOptions = StreamDeps & {
  maxStreams: number
  /** Limit of streams that viewers opened and nobody has published to; they do not count as running streams. */
  maxWaitingStreams: number
}

type EventListener = (stream: string, event: StreamEvent) => void

/** All streams of the server by name, and the place where they start. */
export class StreamRegistry implements Resource {
  readonly closed: Promise<Closed>
  readonly #options: RegistryOptions
  readonly #context: Context
  readonly #scope: Scope
  readonly #streams = new Map<string, LiveStream>()
  readonly #listeners = new Set<EventListener>()
  #draining = false

  constructor(options: RegistryOptions, context: Context) {
    this.#options = options
    this.#scope = new Scope(context.signal)
    this.#context = { signal: this.#scope.signal, log: context.log }
    this.closed = this.#scope.closed
    this.#scope.defer(() => Promise.all([...this.#streams.values()].map((stream) => stream.close())))
  }

  /** Codecs for viewers: VP8 needs an encoder that not every ffmpeg has. */
  get viewerCodecs(): readonly ViewerCodec[] {
    return this.#options.ffmpeg.encoders.has('libvpx') ? VIEWER_CODECS : ['h264']
  }

  /** Codecs that publishers may send. */
  get publisherCodecs(): readonly VideoCodec[] {
    return this.#options.ffmpeg.decodes
  }

  /** Calls `listener` with the events of every stream, from the first to `ended`. Returns a function that stops it. */
  onEvent(listener: EventListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  get maxStreams(): number {
    return this.#options.maxStreams
  }

  /** True once new streams are refused. */
  get draining(): boolean {
    return this.#draining || this.#scope.signal.aborted
  }

  get streams(): LiveStream[] {
    return [...this.#streams.values()]
  }

  /** Streams that have or had a publisher; `maxStreams` limits these. */
  get running(): LiveStream[] {
    return this.streams.filter((stream) => !stream.waiting)
  }

  /** @throws AppError `not-found`, which lists the streams. */
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
   * The stream of that name, or a new one that waits for its publisher. Waits for one that is ending, because releasing
   * its pipeline may take seconds.
   * @throws AppError `not-found`, retryable, if the limit of waiting streams is reached; `capacity`, retryable, if the
   * ending one does not end in time, and while the server drains.
   */
  async getOrOpen(name: string): Promise<LiveStream> {
    const existing = this.#streams.get(checkStreamName(name))
    if (existing?.ending) await this.#end(existing)
    const meanwhile = this.#streams.get(name)
    if (meanwhile) return meanwhile
    this.#checkWaitingRoom(name)
    return this.#openNow(name)
  }

  #openNow(name: string): LiveStream {
    const stream = new LiveStream(name, this.#options, this.#context)
    this.#streams.set(name, stream)
    stream.events.subscribe((event) => {
      for (const listener of this.#listeners) listener(name, event)
    }, 0)
    void stream.closed.then((closed) => {
      this.#streams.delete(name)
      this.#context.log.info({ stream: name, why: closed.why, err: closed.error }, 'stream ended')
    })
    return stream
  }

  /** Publishes to a stream; if that fails, a stream that was opened for this publisher is closed. */
  async publish(name: string, options: PublishOptions): Promise<Publication> {
    const existing = this.#streams.get(checkStreamName(name))
    if (existing?.ending) await this.#end(existing)
    const isNew = !this.#streams.has(name)
    this.checkPublish(name)
    const stream = this.#streams.get(name) ?? this.#openNow(name)
    try {
      return await stream.publish(options)
    } catch (thrown) {
      if (isNew && stream.viewers === 0) await stream.close()
      throw thrown
    }
  }

  /** Whether a publisher of that stream, with that pipeline, may come without video. */
  async takesAudioAlone(name: string, pipeline: string | undefined): Promise<boolean> {
    const { pool } = this.#options
    const stream = this.#streams.get(name)
    const own = stream && !stream.waiting ? stream.params.pipeline : pool.defaultPipeline
    const { video } = await pool.describe(pipeline ?? own)
    return !video
  }

  /**
   * `promised`: places that are reserved for streams that do not exist yet.
   * @throws AppError `conflict` or `capacity`, as `publish` would at once.
   */
  checkPublish(name: string, promised = 0): void {
    const existing = this.#streams.get(name)
    if (existing?.ending) return
    existing?.checkPublish()
    if (!existing || existing.waiting) this.#checkRoom(promised)
  }

  /** For callers that cannot wait. @throws AppError `capacity`, retryable, while a stream of that name is ending. */
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

  /** From now on only existing streams take publishers and viewers. */
  drain(): void {
    this.#draining = true
  }

  #checkWaitingRoom(name: string): void {
    if (this.draining) this.#checkRoom()
    const { maxWaitingStreams } = this.#options
    if (this.#streams.size - this.running.length < maxWaitingStreams) return
    const message = `nobody publishes "${name}", and ${maxWaitingStreams} streams wait for their publishers already (MAX_WAITING_STREAMS)`
    const details = { retryAfterSeconds: RETRY_AFTER_SECONDS }
    throw new AppError('not-found', message, { retryable: true, details })
  }

  #checkRoom(promised = 0): void {
    const { maxStreams } = this.#options
    const options = { retryable: true, details: { retryAfterSeconds: RETRY_AFTER_SECONDS } }
    if (this.draining) {
      throw new AppError('capacity', 'the server is shutting down and takes no new streams', options)
    }
    if (this.running.length + promised < maxStreams) return
    throw new AppError('capacity', `all ${maxStreams} streams of this server are taken (MAX_STREAMS)`, options)
  }

  close(): Promise<Closed> {
    return this.#scope.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

/** Returns the name. @throws AppError `invalid-request`, which gives the rule for names. */
export function checkStreamName(name: string): string {
  if (CHANNEL_OF_STREAM.test(name)) {
    throw new AppError(
      'invalid-request',
      `"${name}" is not a stream name: "-out", "-events", "-data" and "-control" at the end name the channels of a stream`,
    )
  }
  if (NAME.test(name)) return name
  throw new AppError(
    'invalid-request',
    `"${name.slice(0, 100)}" is not a stream name: use 1 to 64 letters, digits, "_", "." or "-", beginning with a letter or digit`,
  )
}
