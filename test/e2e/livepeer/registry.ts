import type { IncomingMessage, ServerResponse } from 'node:http'
import { publishTo } from '../../../src/trickle/server/local-publication.ts'
import type { StandInOrchestrator } from './orchestrator.ts'

export type Heartbeat = { authorization: string | undefined; body: Record<string, unknown> }

type Channel = { name: string; mime_type: string }

/**
 * The live-runner registry of an orchestrator as a runner sees it, built from the contract (§5.5): heartbeats with
 * an issued secret, a channel for reservations, callbacks with the token of a session.
 */
export class StandInRegistry {
  readonly secret = 'orch-secret'
  readonly heartbeats: Heartbeat[] = []
  /** `METHOD path` of each accepted callback. */
  readonly callbacks: string[] = []
  readonly sessions = new Map<string, string>()
  readonly #orchestrator: StandInOrchestrator
  #runner: { id: string; secret: string } | undefined
  #issued = 0
  #messages = 0

  constructor(orchestrator: StandInOrchestrator) {
    this.#orchestrator = orchestrator
    orchestrator.intercept = (request, response) => {
      const { pathname } = new URL(request.url ?? '/', 'http://x')
      if (!/^\/(runners|runner)\//.test(pathname)) return false
      void this.#answer(request, response, pathname)
      return true
    }
  }

  get runnerId(): string {
    return this.#runner?.id ?? ''
  }

  /** Makes the runner unknown, as a restart would. */
  forget(): void {
    this.#orchestrator.trickle.get(`${this.runnerId}-o2r`)?.close()
    this.#runner = undefined
  }

  /** Reserves a session; returns the headers the proxy adds to requests of the client. */
  reserve(id: string): Record<string, string> {
    this.sessions.set(id, `token-${id}`)
    this.#tell('reserved', id)
    return {
      'livepeer-session-id': id,
      'livepeer-session-token': `token-${id}`,
      'livepeer-runner-route': this.runnerId,
      'livepeer-session-control': this.#orchestrator.origin,
    }
  }

  release(id: string, { told = true } = {}): void {
    this.sessions.delete(id)
    if (told) this.#tell('released', id)
    for (const name of ['in', 'out', 'control', 'events']) this.#orchestrator.trickle.get(`${id}-${name}`)?.close()
  }

  #tell(event: string, session: string): void {
    const channel = this.#orchestrator.trickle.get(`${this.runnerId}-o2r`)
    if (!channel) return
    const writer = publishTo(channel).open()
    const keep = this.#messages++ % 2 === 0
    writer.write(Buffer.from(JSON.stringify(keep ? { keep: 'alive' } : { event, session, timestamp: new Date() })))
    writer.close()
    if (keep) this.#tell(event, session)
  }

  async #answer(request: IncomingMessage, response: ServerResponse, path: string): Promise<void> {
    let text = ''
    for await (const chunk of request) text += String(chunk)
    const body = JSON.parse(text || '{}') as Record<string, unknown>
    const end = (status: number, answer: unknown = undefined) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(answer && JSON.stringify(answer))
    const { authorization } = request.headers
    if (path === '/runners/heartbeat') {
      this.heartbeats.push({ authorization, body })
      if (this.#runner && authorization !== this.#runner.secret)
        return void end(401, { error: 'invalid authorization' })
      if (!this.#runner && body.runner_id !== undefined && authorization !== this.secret) return void end(404)
      if (!this.#runner && authorization !== this.secret) return void end(401)
      const first = !this.#runner
      this.#runner ??= { id: String(body.runner_id ?? 'runner_1'), secret: `issued-${++this.#issued}` }
      const { id, secret } = this.#runner
      const { trickle, origin } = this.#orchestrator
      if (first) trickle.create(`${id}-o2r`, 'application/json')
      const url = `${origin}/ai/trickle/${id}-o2r`
      return void end(200, {
        runner_id: id,
        orchestrator: origin,
        heartbeat_interval: '300ms',
        heartbeat_ttl: '20s',
        session_ids: [...this.sessions.keys()],
        ...(first && {
          heartbeat_secret: secret,
          o2r: { name: 'o2r', channel_name: `${id}-o2r`, url: 'https://orchestrator.invalid/o2r', internal_url: url },
        }),
      })
    }
    if (path === `/runners/${this.runnerId}/unregister`) {
      if (authorization !== this.#runner?.secret) return void end(401)
      this.callbacks.push('unregister')
      return void end(204)
    }
    const [, runner, , id = '', what] = path.slice(1).split('/')
    if (runner !== this.runnerId || !this.sessions.has(id)) return void end(404)
    if (request.headers['livepeer-session-token'] !== this.sessions.get(id)) return void end(401)
    this.callbacks.push(`${request.method} ${what} ${id}`)
    if (what === 'stop') {
      this.release(id)
      return void end(204)
    }
    if (request.method === 'DELETE') return void end(200, { deleted: body.channels })
    const { trickle } = this.#orchestrator
    const channels = (body.channels as Channel[]).map(({ name, mime_type }) => {
      const channel_name = `${id}-${name}`
      trickle.create(channel_name, mime_type)
      const internal_url = this.#orchestrator.url(channel_name)
      return { name, channel_name, url: `https://orchestrator.invalid/${channel_name}`, internal_url, mime_type }
    })
    return void end(200, { channels })
  }
}
