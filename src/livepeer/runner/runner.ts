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
  /** What the runner runs. */
  pipeline: string
  /** Of the frames that the pipeline gets, unless the params say otherwise. */
  size: { width: number; height: number }
  /** What a start does when no stream is free: end the oldest session, or fail. */
  busy: 'preempt' | 'refuse'
  statusEventMs: number
}

/** A session that is ended for another may take as long. */
const STOP_MS = 10_000

/** This server as one runner of the Livepeer network; its sessions beside the server's other streams. */
export class LivepeerRunner implements Resource {
  readonly closed: Promise<Closed>
  readonly #options: LivepeerRunnerOptions
  readonly #context: Context
  readonly #scope: Scope
  readonly #leftOvers = new LeftOverChannels()
  /** Oldest first, those that are ending included. */
  readonly #sessions = new Set<LivepeerSession>()
  #turn: Promise<unknown> = Promise.resolve()

  constructor(options: LivepeerRunnerOptions, context: Context) {
    this.#options = options
    this.#context = context
    this.#scope = new Scope(context.signal)
    this.closed = this.#scope.closed
    this.#scope.defer(() => Promise.all([...this.#sessions].map((session) => session.close())))
    const cleaning = this.#leftOvers.cleanUp(options.guard, context.log)
    this.#scope.defer(() => cleaning)
  }

  /** Oldest first. */
  get sessions(): LivepeerSession[] {
    return [...this.#sessions].filter((session) => !session.ending)
  }

  /**
   * Begins a session; its channels are open when it resolves.
   * @throws AppError `invalid-request` for a URL that may not be called, `invalid-params`, `trickle-failed` for a channel
   * that cannot be opened, `capacity` when no stream is free.
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
    await session.started
    return session
  }

  /** Changes the params of the only session, or of the stream that is named. Throws as the pipeline answers. */
  async updateParams(mode: 'replace' | 'merge', value: Values, stream?: string): Promise<void> {
    const session = this.#only(stream)
    await session.stream.updateParams(mode, mode === 'replace' ? session.complete(value) : value)
  }

  /** Of the newest session, or of the stream that is named. */
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

  /** Starts take turns, so that two of them do not end one session for the same place. */
  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work)
    this.#turn = turn.catch(() => {})
    return await turn
  }

  async #makeRoom(request: StartRequest): Promise<void> {
    const { registry, busy } = this.#options
    // Two writers of one channel would spoil it, and the one that ends deletes it: the newer request is the one that counts.
    for (const session of this.#sessions) {
      if (session.request.publishUrl === request.publishUrl) await this.#replace(session, session.closed)
    }
    if (registry.streams.length < registry.maxStreams || busy === 'refuse') return
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
