import { AppError } from '../../core/errors.ts'
import { type Closed, type Context, deadline, type Resource, Scope } from '../../core/resource.ts'
import type { Target, UrlGuard } from '../../core/url-guard.ts'
import type { StreamRegistry } from '../../stream/registry.ts'
import type { RemoteStreams } from '../../stream/remote/streams.ts'
import type { StartRequest } from '../start-request.ts'
import { LeftOverChannels } from './left-over-channels.ts'
import { LivepeerSession } from './session.ts'
import { offlineStatus, type RunnerStatus } from './session-report.ts'

type Values = Record<string, unknown>

export type LivepeerRunnerOptions = {
  registry: StreamRegistry
  remotes: RemoteStreams
  guard: UrlGuard
  /** The pipeline that the runner runs. */
  pipeline: string
  /** Frame size for the pipeline, unless the params name another. */
  size: { width: number; height: number }
  /** What a start does if no stream is free: end the oldest session, or fail. */
  busy: 'preempt' | 'refuse'
  statusEventMs: number
}

/** Time limit for ending a session in favour of another. */
const STOP_MS = 10_000

/** This server as one runner of the Livepeer network; its sessions are beside the server's other streams. */
export class LivepeerRunner implements Resource {
  readonly closed: Promise<Closed>
  readonly #options: LivepeerRunnerOptions
  readonly #context: Context
  readonly #scope: Scope
  readonly #leftOvers: LeftOverChannels
  /** Oldest first, including those that are ending. */
  readonly #sessions = new Set<LivepeerSession>()
  #turn: Promise<unknown> = Promise.resolve()

  constructor(options: LivepeerRunnerOptions, context: Context) {
    this.#options = options
    this.#context = context
    this.#scope = new Scope(context.signal)
    this.closed = this.#scope.closed
    this.#scope.defer(() => Promise.all([...this.#sessions].map((session) => session.close())))
    this.#leftOvers = new LeftOverChannels(undefined, context.log)
    const cleaning = this.#leftOvers.cleanUp(options.guard, context.log)
    this.#scope.defer(() => cleaning)
  }

  /** Oldest first. */
  get sessions(): LivepeerSession[] {
    return [...this.#sessions].filter((session) => !session.ending)
  }

  /**
   * Starts a session; its channels are open when it resolves.
   * @throws AppError `invalid-request` for a URL that may not be contacted, `invalid-params`, `trickle-failed` for a
   * channel that cannot be opened, `capacity` if no stream is free.
   */
  async start(request: StartRequest, receivedAt: number): Promise<LivepeerSession> {
    const channels = await this.#channels(request)
    const session = await this.#inTurn(async () => {
      await this.#makeRoom(request)
      const { remotes, pipeline, size, statusEventMs } = this.#options
      const options = { remotes, request, channels, pipeline, size, receivedAt, statusEventMs }
      const begun = new LivepeerSession(options, this.#context)
      this.#sessions.add(begun)
      this.#leftOvers.add(begun, [request.publishUrl, request.eventsUrl].filter(Boolean))
      void begun.closed.then(() => {
        this.#sessions.delete(begun)
        this.#leftOvers.remove(begun)
      })
      return begun
    })
    try {
      await session.started
    } catch (thrown) {
      // A failed start leaves nothing running.
      await session.close()
      throw thrown
    }
    return session
  }

  /** Changes the params of the only session, or of the named stream. Throws as the pipeline answers. */
  async updateParams(mode: 'replace' | 'merge', value: Values, stream?: string): Promise<void> {
    const session = this.#only(stream)
    await session.stream.updateParams(mode, mode === 'replace' ? session.complete(value) : value)
  }

  /** Status of the newest session, or of the named stream. */
  status(stream?: string): RunnerStatus {
    if (stream !== undefined) return this.#named(stream).report.status()
    return this.sessions.at(-1)?.report.status() ?? offlineStatus(this.#options.pipeline)
  }

  close(): Promise<Closed> {
    return this.#scope.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #channels({ subscribeUrl, publishUrl, controlUrl, eventsUrl }: StartRequest) {
    const { guard } = this.#options
    const optional = async (url: string, field: string): Promise<Target | undefined> =>
      url === '' ? undefined : await guard.check(url, field)
    const [subscribe, publish, control, events] = await Promise.all([
      guard.check(subscribeUrl, 'subscribe_url'),
      guard.check(publishUrl, 'publish_url'),
      optional(controlUrl, 'control_url'),
      optional(eventsUrl, 'events_url'),
    ])
    return { subscribe, publish, ...(control && { control }), ...(events && { events }) }
  }

  /** Starts run one after the other, so that two of them do not end the same session for one place. */
  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work)
    this.#turn = turn.catch(() => {})
    return await turn
  }

  async #makeRoom(request: StartRequest): Promise<void> {
    const { registry, busy } = this.#options
    // Two writers would corrupt a channel, and the one that ends deletes it: the newer request wins.
    for (const session of this.#sessions) {
      if (session.request.publishUrl === request.publishUrl) await this.#replace(session, session.closed)
    }
    if (registry.running.length < registry.maxStreams || busy === 'refuse') return
    const [oldest] = this.sessions
    if (oldest) await this.#replace(oldest, oldest.stream.closed)
  }

  async #replace(session: LivepeerSession, gone: Promise<Closed>): Promise<void> {
    this.#context.log.warn({ stream: session.stream.name }, 'livepeer stream ended for another one')
    void session.close()
    await deadline(gone, STOP_MS, 'ending the stream that runs')
  }

  #only(stream: string | undefined): LivepeerSession {
    if (stream !== undefined) return this.#named(stream)
    const [first, ...others] = this.sessions
    if (!first) throw new AppError('conflict', 'no Livepeer stream is running')
    if (others.length > 0) {
      const names = this.sessions.map((session) => session.stream.name).join(', ')
      throw new AppError('conflict', `several Livepeer streams are running: name one with ?stream=, of ${names}`)
    }
    return first
  }

  #named(stream: string): LivepeerSession {
    const session = this.sessions.find((one) => one.stream.name === stream)
    if (!session) throw new AppError('not-found', `there is no Livepeer stream "${stream}"`)
    return session
  }
}
