import { AppError } from '../../core/errors.ts'
import { type Closed, type Context, type Resource, Scope, sleep } from '../../core/resource.ts'
import type { UrlGuard } from '../../core/url-guard.ts'
import { openTrickleSubscriber } from '../../trickle/client/subscriber.ts'
import { jsonMessages } from '../../trickle/json.ts'
import type { Gpus } from '../gpus.ts'
import { OrchestratorClient } from './client.ts'
import {
  type HeartbeatBody,
  type HeartbeatReply,
  type OrchestratorChannel,
  readChannels,
  readHeartbeatReply,
  SessionEvent,
} from './heartbeat.ts'

/** A session that a client reserved at the orchestrator, as named by the orchestrator's proxy. */
export type NetworkSession = { id: string; token: string; route: string }

export type RegistrationOptions = {
  orchestrator: string
  /** The orchestrator's `-orchSecret`, for the first heartbeat. */
  secret: string
  /** Where the orchestrator reaches this server. */
  runnerUrl: string
  app: string
  price: { price: number; currency: string; unit: string }
  version: string
  /** Streams that can still be started. */
  freeStreams(): number
  gpus: Gpus
  guard: UrlGuard
}

const FIRST_RETRY_MS = 1000
const RETRY_MS = 5000
const EVENTS_RETRY_MS = 2000

/** The work of a session, and the heartbeat since which it has been held. */
type Held = { session: NetworkSession; work: Resource; beat: number }

/**
 * Keeps this server registered as a live runner with one orchestrator, and its streams in sync with the sessions
 * reserved there. Failures are retried for ever; closing it unregisters.
 */
export class Registration implements Resource {
  readonly closed: Promise<Closed>
  readonly #options: RegistrationOptions
  readonly #context: Context
  readonly #scope: Scope
  readonly #held = new Map<string, Held>()
  #client: OrchestratorClient | undefined
  #address: string
  #runnerId: string | undefined
  #issuedSecret: string | undefined
  #intervalMs = RETRY_MS
  #beats = 0
  #events: AbortController | undefined

  constructor(options: RegistrationOptions, context: Context) {
    this.#options = options
    this.#context = context
    this.#address = options.orchestrator
    this.#scope = new Scope(context.signal)
    this.closed = this.#scope.closed
    this.#scope.defer(() => this.#unregister())
    this.#scope.spawn((signal) => this.#run(signal))
  }

  /** Ties work to a session: it is closed when the session is released, and the session is released when it ends. */
  hold(session: NetworkSession, work: Resource): void {
    const held = { session, work, beat: this.#beats }
    this.#held.set(session.id, held)
    void work.closed.then(async () => {
      if (this.#held.get(session.id) !== held || this.#scope.reason) return
      this.#held.delete(session.id)
      await this.#callback('POST', session, '/stop').catch((err) => {
        // It was released there meanwhile, which is why its channels ended.
        if (AppError.from(err).details?.status === 404) return
        this.#context.log.warn({ err, session: session.id }, 'could not release a session')
      })
    })
  }

  /** Creates channels on the orchestrator that live as long as the session. Rejects with `trickle-failed`. */
  async createChannels(
    session: NetworkSession,
    channels: { name: string; mime_type: string }[],
  ): Promise<Map<string, OrchestratorChannel>> {
    const text = await this.#callback('POST', session, '/channels', { channels })
    const made = new Map(readChannels(text).map((channel) => [channel.name, channel]))
    const missing = channels.filter(({ name }) => !made.has(name))
    if (missing.length === 0) return made
    throw new AppError(
      'trickle-failed',
      `the orchestrator did not make the channels ${missing.map(({ name }) => name).join(', ')}`,
    )
  }

  async removeChannels(session: NetworkSession, names: string[]): Promise<void> {
    await this.#callback('DELETE', session, '/channels', { channels: names })
  }

  close(): Promise<Closed> {
    return this.#scope.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #run(signal: AbortSignal): Promise<Closed> {
    let failures = 0
    for (;;) {
      try {
        await this.#beat()
        failures = 0
        await sleep(this.#intervalMs, signal)
      } catch (err) {
        signal.throwIfAborted()
        // Logged once per series of failures.
        if (failures++ === 0) this.#context.log.warn({ err }, 'heartbeat failed')
        await sleep(failures === 1 ? FIRST_RETRY_MS : RETRY_MS, signal)
      }
    }
  }

  async #beat(): Promise<void> {
    const first = this.#issuedSecret === undefined
    const beat = ++this.#beats
    const client = await this.#connection()
    const headers = { authorization: this.#issuedSecret ?? this.#options.secret }
    const answer = await client.send('POST', '/runners/heartbeat', headers, await this.#body())
    if (!first && (answer.status === 404 || answer.status === 401)) {
      // It has forgotten this runner: registers again at the configured address.
      this.#context.log.info({ status: answer.status }, 'the orchestrator forgot this runner')
      this.#issuedSecret = undefined
      await this.#moveTo(this.#options.orchestrator)
      return await this.#beat()
    }
    if (answer.status !== 200) throw client.refusal(answer)
    const reply = readHeartbeatReply(answer.text)
    this.#intervalMs = Math.max(100, reply.heartbeat_interval)
    this.#runnerId = reply.runner_id
    if (reply.heartbeat_secret) this.#issuedSecret = reply.heartbeat_secret
    if (first) await this.#registered(reply)
    else if (reply.session_ids) this.#releaseOthers(reply.session_ids, beat)
  }

  async #registered(reply: HeartbeatReply): Promise<void> {
    this.#context.log.info({ runner: reply.runner_id, orchestrator: this.#address }, 'registered as a live runner')
    if (reply.orchestrator && reply.orchestrator !== this.#address) {
      await this.#moveTo(reply.orchestrator).catch((err) =>
        this.#context.log.warn({ err }, 'the orchestrator names an address that is not allowed'),
      )
    }
    this.#events?.abort()
    if (!reply.o2r) return
    this.#events = new AbortController()
    const { url, internal_url } = reply.o2r
    const signal = AbortSignal.any([this.#scope.signal, this.#events.signal])
    void this.#followSessions(internal_url ?? url, signal).catch(() => {})
  }

  async #body(): Promise<HeartbeatBody> {
    const { runnerUrl, app, version, price, gpus, freeStreams } = this.#options
    const [gpu] = await gpus.list()
    const capacity = this.#held.size + freeStreams()
    return {
      ...(this.#runnerId !== undefined && { runner_id: this.#runnerId }),
      runner_url: runnerUrl,
      app,
      version,
      mode: 'persistent',
      status: capacity > 0 ? 'ready' : 'busy',
      capacity,
      price_info: price,
      session_ids: [...this.#held.keys()],
      ...(gpu && { gpu: { id: gpu.id, name: gpu.name, vram_mb: Math.round(gpu.memoryTotal / 2 ** 20) } }),
    }
  }

  /** Follows reservations as they are announced; missed ones show in the next heartbeat. */
  async #followSessions(url: string, signal: AbortSignal): Promise<void> {
    for (let start = 0; ; start = -2) {
      try {
        const target = await this.#options.guard.check(url, 'o2r')
        const { log } = this.#context
        const subscription = await openTrickleSubscriber({ ...target, start }, { signal, log })
        for await (const message of jsonMessages(subscription)) this.#hear(message)
        return
      } catch (thrown) {
        const error = AppError.from(thrown)
        signal.throwIfAborted()
        if (error.code === 'not-found') return
        this.#context.log.warn({ err: error }, 'the channel of reservations failed')
      }
      await sleep(EVENTS_RETRY_MS, signal)
    }
  }

  #hear(message: unknown): void {
    const { data } = SessionEvent.safeParse(message)
    if (!data) return
    this.#context.log.debug({ session: data.session, event: data.event }, 'session')
    if (data.event === 'released') this.#release(data.session)
  }

  /** A session that began after the heartbeat was sent may be missing in its answer. */
  #releaseOthers(reserved: string[], beat: number): void {
    for (const [id, held] of this.#held) if (held.beat < beat && !reserved.includes(id)) this.#release(id)
  }

  #release(id: string): void {
    const held = this.#held.get(id)
    if (!held) return
    this.#held.delete(id)
    this.#context.log.info({ session: id }, 'session released by the orchestrator')
    void held.work.close()
  }

  async #callback(method: 'POST' | 'DELETE', session: NetworkSession, path: string, body?: unknown): Promise<string> {
    const client = await this.#connection()
    const place = `/runner/${encodeURIComponent(session.route)}/session/${encodeURIComponent(session.id)}`
    const answer = await client.send(method, place + path, { 'livepeer-session-token': session.token }, body)
    if (answer.status >= 300) throw client.refusal(answer)
    return answer.text
  }

  async #connection(): Promise<OrchestratorClient> {
    if (!this.#client) await this.#moveTo(this.#address)
    if (!this.#client) throw new AppError('internal', 'there is no orchestrator')
    return this.#client
  }

  async #moveTo(address: string): Promise<void> {
    const target = await this.#options.guard.check(address, 'orchestrator')
    this.#client?.close()
    this.#client = new OrchestratorClient(target)
    this.#address = address
  }

  async #unregister(): Promise<void> {
    if (this.#client && this.#runnerId && this.#issuedSecret) {
      const path = `/runners/${encodeURIComponent(this.#runnerId)}/unregister`
      await this.#client
        .send('POST', path, { authorization: this.#issuedSecret })
        .catch((err) => this.#context.log.warn({ err }, 'could not unregister'))
    }
    this.#client?.close()
  }
}
