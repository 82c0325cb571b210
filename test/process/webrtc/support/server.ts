import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { serve } from '@hono/node-server'
import { Hono } from 'hono'
import { Broadcast } from '../../../../src/core/broadcast.ts'
import { signallingRoutes } from '../../../../src/http/routes/signalling.ts'
import { errorOf, problemResponse } from '../../../../src/http/status.ts'
import { StreamData } from '../../../../src/stream/output/data.ts'
import type { IceSettings } from '../../../../src/webrtc/ice/agent.ts'
import { openSharedPort } from '../../../../src/webrtc/ice/port.ts'
import { openWhepSession, type WhepSession } from '../../../../src/webrtc/whep/whep.ts'
import { openWhipSession, type WhipSession } from '../../../../src/webrtc/whip/whip.ts'
import { LogCollector } from '../../../helpers/server/logs.ts'
import { waitFor } from '../../../helpers/wait.ts'

export const ICE: IceSettings = {
  sharedPort: (await openSharedPort(0))!,
}
const ICE_SERVERS = [
  { urls: 'stun:stun.example.net' },
  { urls: ['turn:turn.example.net?transport=udp', 'turns:turn.example.net'], username: 'me', credential: 'a "word"' },
]

/** The WHIP and WHEP routes on sessions alone: published media is discarded, viewers watch `broadcast`. */
export class SignallingServer implements AsyncDisposable {
  readonly viewers: WhepSession[] = []
  readonly publishers: WhipSession[] = []
  readonly logs = new LogCollector()
  keyframes = 0
  readonly broadcast = new Broadcast(() => {})
  /** Messages for the data channel `data` of viewers. */
  readonly data = new StreamData()
  readonly app = new Hono()
  /** Rewrites answers, as a network between both sides would. */
  route: (answer: string) => string = (answer) => answer
  #server: Server | undefined

  constructor() {
    this.app.onError((thrown, c) => problemResponse(c, errorOf(thrown)))
    this.app.get('/', (c) => c.html('<video autoplay muted playsinline></video>'))
    this.app.route(
      '/',
      signallingRoutes({
        kind: 'whep',
        iceServers: () => ICE_SERVERS,
        open: async ({ offer }) => {
          const reader = this.broadcast.subscribe()
          const requestKeyframe = () => this.keyframes++
          const channels = { maxMessageBytes: 64 * 1024, data: () => this.data.subscribe() }
          const options = { offer, reader, ice: ICE, channels, requestKeyframe }
          const session = await openWhepSession(options, { log: this.logs.log })
          this.viewers.push(session)
          return this.#routed(session)
        },
      }),
    )
    this.app.route(
      '/',
      signallingRoutes({
        kind: 'whip',
        iceServers: () => ICE_SERVERS,
        open: async ({ offer }) => {
          const session = await openWhipSession({ offer, ice: ICE }, { log: this.logs.log })
          this.publishers.push(session)
          return this.#routed(session)
        },
      }),
    )
  }

  /** Starts listening and returns the URL. */
  async listen(): Promise<string> {
    const server = serve({ fetch: this.app.fetch, port: 0, hostname: '127.0.0.1' }) as Server
    this.#server = server
    await waitFor('the server', () => server.listening)
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const session of [...this.viewers, ...this.publishers]) await session.close()
    this.#server?.closeAllConnections()
    this.#server?.close()
  }

  #routed<T extends WhepSession | WhipSession>(session: T): T {
    const answer = this.route(session.answer)
    return new Proxy(session, {
      get: (target, name) => {
        if (name === 'answer') return answer
        const value = Reflect.get(target, name, target)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
  }
}
