import { setTimeout } from 'node:timers/promises'
import { nowMs } from '../../core/clock.ts'
import { AppError } from '../../core/errors.ts'
import { type Closed, type Context, deadline, Scope, sleep } from '../../core/resource.ts'
import * as header from '../headers.ts'
import type { Publication, PublicationStats, SegmentWriter } from '../publication.ts'
import { TrickleClient, type TrickleClientOptions } from './http.ts'
import { type Outcome, RemoteSegment } from './remote-segment.ts'

export type PublisherOptions = TrickleClientOptions & {
  /** MIME type of the segments, such as `video/MP2T`. */
  mime: string
  /** Creates the channel first. */
  create?: boolean
  /** Deletes the channel when it closes; false if the channel belongs to someone else. */
  deleteOnClose?: boolean
  /** Limit of bytes that wait for a slow server, over all segments; a segment that would exceed it is dropped. */
  maxQueueBytes?: number
  /** Limit of segments in flight; beyond it a new one is dropped. */
  maxInFlight?: number
  /** How long a server may neither take bytes nor answer. */
  answerTimeoutMs?: number
  /** Consecutive failures that end the publication. */
  maxFailures?: number
}

const DEFAULTS = {
  create: false,
  deleteOnClose: true,
  maxQueueBytes: 8 * 1024 * 1024,
  maxInFlight: 3,
  answerTimeoutMs: 10_000,
  maxFailures: 5,
}
const OPEN_TIMEOUT_MS = 10_000
const CLOSE_TIMEOUT_MS = 2000
/** Readers that have the last but one segment need this time at most to ask for the last; a deleted channel has none. */
const LAST_READ_MS = 500
const RETRY_MS = 250
/** A connection that lived this long does not count as a failed attempt. */
const SETTLED_MS = 1000
/** Larger than any ring: a server that already has this many of our segments will not take the next one either. */
const MAX_SKIPPED = 1000

/**
 * Publishes to a channel of another server; contract §2.7. Begins at the server's head, and makes the request for the
 * next segment ahead of time. Rejects with `trickle-failed` if the server cannot be reached or refuses.
 */
export async function openTricklePublisher(options: PublisherOptions, context: Context): Promise<Publication> {
  const client = new TrickleClient(options)
  try {
    if (options.create) {
      const answer = await client.call('POST', '', { [header.EXPECT_CONTENT]: options.mime }, OPEN_TIMEOUT_MS)
      if (answer.status >= 300) throw client.refusal(answer)
    }
    const answer = await client.call('GET', '/next', {}, OPEN_TIMEOUT_MS)
    // 404: the first post may create the channel. 400: an old server, which parses `next` as a number.
    if (![200, 400, 404].includes(answer.status)) throw client.refusal(answer)
    const head = answer.status === 200 && /^\d+$/.test(answer.text.trim()) ? Number(answer.text) : 0
    return new RemotePublication(client, head, options, context)
  } catch (thrown) {
    client.destroy()
    throw thrown
  }
}

class RemotePublication implements Publication {
  readonly closed: Promise<Closed>
  readonly #client: TrickleClient
  readonly #mime: string
  readonly #options: Required<Pick<PublisherOptions, keyof typeof DEFAULTS>>
  readonly #scope: Scope
  readonly #active = new Set<RemoteSegment>()
  readonly #deletes = new Set<Promise<unknown>>()
  readonly #stats: PublicationStats = { segments: 0, bytes: 0, dropped: 0 }
  #pending: RemoteSegment
  #failures = 0
  #skipped = 0
  #storedAt = Number.NEGATIVE_INFINITY

  constructor(client: TrickleClient, head: number, options: PublisherOptions, context: Context) {
    this.#client = client
    this.#mime = options.mime
    this.#options = { ...DEFAULTS, ...options }
    this.#scope = new Scope(context.signal)
    this.closed = this.#scope.closed
    this.#scope.defer(() => this.#finish())
    this.#pending = this.#preconnect(head, { [header.RESET]: '1' })
  }

  open(): SegmentWriter {
    const segment = this.#pending
    // A refused request is repeated a little later.
    const refused = segment.settled
    if (this.#scope.signal.aborted || refused || this.#active.size >= this.#options.maxInFlight) {
      this.#stats.dropped++
      return new RefusedSegment(segment.seq)
    }
    this.#active.add(segment)
    this.#pending = this.#preconnect(segment.seq + 1)
    segment.begun = true
    return segment
  }

  stats(): PublicationStats {
    let { bytes } = this.#stats
    for (const segment of this.#active) bytes += segment.sentBytes
    return { ...this.#stats, bytes }
  }

  close(): Promise<Closed> {
    return this.#scope.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #preconnect(seq: number, headers: Record<string, string> = {}): RemoteSegment {
    return new RemoteSegment({
      seq,
      client: this.#client,
      headers: { 'Content-Type': this.#mime, ...headers },
      stallMs: this.#options.answerTimeoutMs,
      hasRoom: (bytes) => this.#unsent() + bytes <= this.#options.maxQueueBytes,
      onUnsent: (segment, livedMs) => this.#reconnect(segment, livedMs),
      onSettled: (segment, outcome) => this.#settled(segment, outcome),
    })
  }

  #unsent(): number {
    let bytes = 0
    for (const segment of this.#active) bytes += segment.unsentBytes
    return bytes
  }

  /** A segment lost its connection before any byte was sent, and may be sent again. */
  async #reconnect(segment: RemoteSegment, livedMs: number): Promise<void> {
    if (livedMs >= SETTLED_MS) this.#failures = 0
    if (!this.#failed(segment.failure)) {
      await sleep(this.#retryMs(), this.#scope.signal).catch(() => {})
    }
    if (!this.#scope.signal.aborted) segment.connect()
  }

  #settled(segment: RemoteSegment, outcome: Outcome): void {
    this.#active.delete(segment)
    this.#stats.bytes += segment.sentBytes
    if (outcome.kind === 'stored') {
      this.#stats.segments++
      this.#storedAt = nowMs()
    } else if (segment.begun) this.#stats.dropped++
    switch (outcome.kind) {
      case 'closed':
        this.#scope.end({ why: 'ended' })
        break
      case 'missing':
        // Newer servers say only this to a publisher whose channel was deleted.
        this.#scope.end(this.#stats.segments > 0 ? { why: 'ended' } : { why: 'failed', error: outcome.error })
        break
      case 'lost':
        if (!this.#failed(outcome.error) && segment === this.#pending) void this.#askAgain(segment)
        break
      case 'aborted':
        this.#delete(`/${segment.seq}`)
        break
      case 'cut':
        if (segment === this.#pending) this.#skip(segment.seq)
        break
      case 'stored':
        this.#failures = 0
        this.#skipped = 0
    }
  }

  /** The server ended a segment that was only waiting, or already had it: the next one waits in its place. */
  #skip(seq: number): void {
    if (++this.#skipped > MAX_SKIPPED) {
      const error = new AppError('trickle-failed', `${this.#client.name}: refused ${MAX_SKIPPED} segments in a row`)
      this.#scope.end({ why: 'failed', error })
    } else this.#pending = this.#preconnect(seq + 1)
  }

  /** A waiting segment was refused before any byte was sent. */
  async #askAgain({ seq }: RemoteSegment): Promise<void> {
    await sleep(this.#retryMs(), this.#scope.signal).catch(() => {})
    if (!this.#scope.signal.aborted) this.#pending = this.#preconnect(seq)
  }

  #retryMs(): number {
    return RETRY_MS * 2 ** (this.#failures - 1)
  }

  /** Counts a failure; true if the limit is exceeded. */
  #failed(error: AppError): boolean {
    if (++this.#failures <= this.#options.maxFailures) return false
    this.#scope.end({ why: 'failed', error })
    return true
  }

  #delete(suffix: string): void {
    const done = this.#client.call('DELETE', suffix, {}, CLOSE_TIMEOUT_MS).catch(() => {})
    this.#deletes.add(done)
    void done.then(() => this.#deletes.delete(done))
  }

  /** The normal end: written data is sent and read, then the channel is deleted, which also wakes our own waiting request. */
  async #finish(): Promise<void> {
    const why = this.#scope.reason?.why
    if (why === 'stopped') {
      for (const segment of this.#active) segment.close()
      await deadline(
        Promise.all([...this.#active].map((segment) => segment.stored)),
        CLOSE_TIMEOUT_MS,
        'the last segments',
      ).catch(() => {})
      if (this.#options.deleteOnClose) {
        await setTimeout(Math.max(0, this.#storedAt + LAST_READ_MS - nowMs()))
        this.#delete('')
      }
    }
    for (const segment of [...this.#active, this.#pending]) segment.destroy()
    await Promise.all(this.#deletes)
    this.#client.destroy()
  }
}

/** A segment without room in the queue. */
class RefusedSegment implements SegmentWriter {
  readonly seq: number
  readonly stored = Promise.resolve(false)

  constructor(seq: number) {
    this.seq = seq
  }

  write(): boolean {
    return false
  }

  close(): void {}

  abort(): void {}
}
