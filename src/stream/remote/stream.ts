import { nowMs } from '../../core/clock.ts'
import { AppError } from '../../core/errors.ts'
import type { IngestSource } from '../../core/media/endpoints.ts'
import { type Closed, type Context, deadline, type Resource, Scope, sleep } from '../../core/resource.ts'
import type { Target } from '../../core/url-guard.ts'
import { openTricklePublisher } from '../../trickle/client/publisher.ts'
import { openTrickleSubscriber } from '../../trickle/client/subscriber.ts'
import { openTrickleEgress } from '../../trickle/egress.ts'
import { openTrickleIngest } from '../../trickle/ingest.ts'
import type { Publication } from '../../trickle/publication.ts'
import type { Subscription } from '../../trickle/subscription.ts'
import type { Publication as StreamPublication } from '../input/publication.ts'
import type { LiveStream } from '../live-stream.ts'
import { checkStreamName, type StreamRegistry } from '../registry.ts'
import { RemoteControl } from './control.ts'
import { RemoteMessages } from './messages.ts'
import { WatchedPublication, WatchedSubscription } from './watch.ts'

/** Channels on other trickle servers. */
export type RemoteChannels = {
  /** MPEG-TS segments to read. */
  subscribe: Target
  /** Where the output goes. */
  publish?: Target
  /** Messages on it replace the params. */
  control?: Target
  /** Where events are sent. */
  events?: Target
}

export type RemoteStreamOptions = {
  name: string
  channels: RemoteChannels
  pipeline?: string
  params?: Record<string, unknown>
  /** Number of the MPEG-TS program to read; default: the first readable one. */
  program?: number
  /** The stream ends after this long without input. */
  inputTimeoutMs: number
  /**
   * Sends messages about the stream on its events channel until the returned function is called. Default: every event.
   */
  tell?(stream: LiveStream, send: (message: unknown) => void): () => void
  /** Adds what a control message's sender leaves out. */
  completeParams?(message: Record<string, unknown>): Record<string, unknown>
  /** The first input segment was read to its end. */
  onFirstSegmentRead?(): void
  /** The first bytes of the first output segment are being sent. */
  onFirstBytesSent?(): void
}

const MEDIA_TYPE = 'video/mp2t'
const JSON_TYPE = 'application/json'
/** Time limit for the last segment of an ended stream. */
const FLUSH_MS = 2000

/**
 * A stream whose media, control and events use other trickle servers. It ends with its input, with its output or
 * control channel, or when no input comes for too long; then it deletes the channels that it wrote.
 */
export class RemoteStream implements Resource {
  readonly stream: LiveStream
  readonly closed: Promise<Closed>
  /**
   * Settles when its pipeline is leased and its channels are open, before media flows; rejects with the reason if that
   * fails.
   */
  readonly started: Promise<void>
  readonly #options: RemoteStreamOptions
  readonly #context: Context
  readonly #scope: Scope
  readonly #started = Promise.withResolvers<void>()
  #running = false
  #segmentRead = false
  #lastInputAt = nowMs()

  /** @throws AppError `conflict` or `capacity`; then nothing has started. */
  constructor(registry: StreamRegistry, options: RemoteStreamOptions, context: Context) {
    const { name, pipeline, params } = options
    this.#options = options
    this.#context = { log: context.log.child({ stream: name }) }
    this.started = this.#started.promise
    this.started.catch(() => {})
    registry.checkNotEnding(checkStreamName(name))
    registry.checkPublish(name)
    const published = registry.publish(name, {
      ...(pipeline !== undefined && { pipeline }),
      ...(params && { params }),
      open: (inner, wants) => this.#open(inner, wants),
    })
    this.stream = registry.get(name)
    this.#scope = new Scope(context.signal)
    this.closed = this.#scope.closed
    this.#scope.defer(() => this.#end())
    void this.#outlast(published)
  }

  get name(): string {
    return this.#options.name
  }

  /** True as soon as it begins to end; its last bytes may still be in flight. */
  get ending(): boolean {
    return this.#scope.reason !== undefined
  }

  close(): Promise<Closed> {
    return this.#scope.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** Ends with the publication, which ends with the stream at the latest. */
  async #outlast(published: Promise<StreamPublication>): Promise<void> {
    try {
      const { closed } = await published
      this.#finish('ingest', await closed)
    } catch (thrown) {
      const error = AppError.from(thrown)
      this.#started.reject(error)
      this.#finish('ingest', { why: 'failed', error })
    }
  }

  /** Ends the stream because of a failure or an end of its input or output. */
  #finish(source: 'ingest' | 'egress', closed: Closed): void {
    if (closed.error && this.#running && !this.#scope.reason) {
      this.stream.events.emit({ type: 'error', source, message: closed.error.message })
    }
    this.#scope.end(closed)
  }

  async #open(inner: Context, wants: { audioAlone: boolean }): Promise<IngestSource> {
    const { subscription, publication, control, events } = await this.#openChannels()
    const egress = publication && (await this.#send(publication))
    if (this.#scope.reason) {
      await Promise.all([subscription, egress, control, events].map((one) => one?.close()))
      throw new AppError('trickle-failed', 'the stream was stopped while it was opened')
    }
    this.#running = true
    // Opened first and closed last: after the last frames the end is reported.
    if (events) this.#tell(events)
    if (control) this.#obey(control)
    if (egress) {
      this.#scope.use(egress)
      void egress.closed.then((closed) => this.#finish('egress', closed))
    }
    this.#scope.defer(async () => {
      await this.stream.close()
      if (egress) await deadline(egress.closed, FLUSH_MS, 'the last segment').catch(() => {})
    })
    this.#started.resolve()
    this.#lastInputAt = nowMs()
    this.#scope.spawn((signal) => this.#watchInput(signal))
    const onBytes = () => {
      this.#lastInputAt = nowMs()
    }
    const watched = new WatchedSubscription(subscription, onBytes, () => this.#noteSegment())
    const { inputTimeoutMs, program } = this.#options
    const which = program === undefined ? {} : { program }
    return await openTrickleIngest(
      { from: { subscription: watched }, openTimeoutMs: inputTimeoutMs, ...wants, ...which },
      inner,
    )
  }

  /** Opens all channels, or none if one fails. */
  async #openChannels() {
    const { subscribe, publish, control, events } = this.#options.channels
    const opening = [
      named('the input', this.#subscriber('the input channel', subscribe)),
      publish && named('the output', this.#publisher('the output channel', publish, MEDIA_TYPE)),
      control && named('the control channel', this.#subscriber('the control channel', control)),
      events && named('the events channel', this.#publisher('the events channel', events, JSON_TYPE)),
    ] as const
    const settled = await Promise.allSettled(opening)
    const failed = settled.find((one) => one.status === 'rejected')
    if (failed) {
      await Promise.all(settled.map((one) => one.status === 'fulfilled' && one.value?.close()))
      throw failed.reason
    }
    const [subscription, publication, controlled, told] = await Promise.all(opening)
    return { subscription, publication, control: controlled, events: told }
  }

  #subscriber(role: string, target: Target): Promise<Subscription> {
    return openTrickleSubscriber({ ...target, role, start: -2 }, this.#context)
  }

  #publisher(role: string, target: Target, mime: string): Promise<Publication> {
    return openTricklePublisher({ ...target, role, mime }, this.#context)
  }

  #tell(first: Publication): void {
    const { channels, tell = tellEverything } = this.#options
    const { events } = channels
    if (!events) return
    const messages = this.#scope.use(
      new RemoteMessages({
        first,
        reopen: () => this.#publisher('the events channel', events, JSON_TYPE),
        onFailure: (err) => this.#context.log.warn({ err }, 'events channel failed'),
      }),
    )
    this.#scope.defer(tell(this.stream, (message) => messages.send(message)))
  }

  #obey(first: Subscription): void {
    const { channels, completeParams } = this.#options
    const { control } = channels
    if (!control) return
    const following = this.#scope.use(
      new RemoteControl({
        stream: this.stream,
        first,
        reopen: () => this.#subscriber('the control channel', control),
        onFailure: (err) => {
          this.#context.log.warn({ err }, 'control channel failed')
          this.stream.events.emit({ type: 'error', source: 'control', message: err.message })
        },
        complete: completeParams,
      }),
    )
    void following.closed.then((closed) => this.#scope.end(closed))
  }

  async #send(inner: Publication): Promise<Resource> {
    const publication = new WatchedPublication(inner, () => this.#options.onFirstBytesSent?.())
    return await openTrickleEgress({ reader: this.stream.subscribe(), to: { publication } }, this.#context)
  }

  #noteSegment(): void {
    if (this.#segmentRead) return
    this.#segmentRead = true
    this.#options.onFirstSegmentRead?.()
  }

  async #watchInput(signal: AbortSignal): Promise<Closed> {
    const { inputTimeoutMs } = this.#options
    for (;;) {
      const silentMs = nowMs() - this.#lastInputAt
      if (silentMs >= inputTimeoutMs) {
        const error = new AppError('timeout', `no input arrived for ${inputTimeoutMs / 1000} s`, { retryable: true })
        this.#finish('ingest', { why: 'failed', error })
      }
      await sleep(inputTimeoutMs - silentMs, signal)
    }
  }

  /** A failed start must not end a stream that already had viewers. */
  async #end(): Promise<void> {
    if (this.#running || this.#scope.reason?.why !== 'failed') await this.stream.close()
  }
}

function tellEverything(stream: LiveStream, send: (message: unknown) => void): () => void {
  return stream.events.subscribe((event) => send({ event, queue_event_type: 'ai_stream_events' }))
}

async function named<T>(what: string, opening: Promise<T>): Promise<T> {
  try {
    return await opening
  } catch (thrown) {
    const { message, retryable } = AppError.from(thrown)
    throw new AppError('trickle-failed', `${what} could not be opened: ${message}`, { retryable, cause: thrown })
  }
}
