import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createAdaptorServer } from '@hono/node-server'
import { AppError } from '../core/errors.ts'
import { type Context, type Resource, Scope } from '../core/resource.ts'
import { createDispatchApp } from './app.ts'
import { systemClock } from './clock.ts'
import { Dispatcher } from './dispatcher.ts'
import { RoomApi } from './livekit/room-api.ts'
import { DispatchMetrics } from './metrics.ts'
import type { Rule } from './rules.ts'
import { HttpServers } from './servers/http-servers.ts'

export type DispatchOptions = {
  host: string
  port: number
  servers: readonly string[]
  /** Token for the servers. */
  token: string | undefined
  livekit: { urls: readonly string[]; apiKey: string; apiSecret: string }
  rules: readonly Rule[]
  version: string
}

export type DispatchServer = Resource & { readonly url: string }

/** The complete dispatcher, listening when it resolves. */
export async function openDispatch(options: DispatchOptions, { signal, log }: Context): Promise<DispatchServer> {
  const { host, port, servers, token, livekit, rules, version } = options
  const scope = new Scope(signal)
  const inner = { signal: scope.signal, log }
  try {
    const metrics = new DispatchMetrics(() => dispatcher)
    const dispatcher: Dispatcher = scope.use(
      new Dispatcher(
        {
          transport: new HttpServers({ servers, token }),
          rooms: new RoomApi(livekit),
          ...{ rules, clock: systemClock },
          onPlaced: ({ ms }) => metrics.placed(ms),
        },
        inner,
      ),
    )
    const app = createDispatchApp({ dispatcher, metrics, key: livekit, version, log })
    const server = createAdaptorServer({
      fetch: app.fetch,
      serverOptions: { requestTimeout: 15_000, headersTimeout: 10_000, keepAliveTimeout: 75_000 },
    }) as Server
    await new Promise<void>((resolve, reject) => {
      server.once('error', (cause: NodeJS.ErrnoException) => {
        const why = cause.code === 'EADDRINUSE' ? `port ${port} is taken` : cause.message
        reject(new AppError('invalid-request', `cannot listen on ${host}:${port} (HOST, PORT): ${why}`, { cause }))
      })
      server.listen(port, host, resolve)
    })
    scope.defer(() => {
      server.closeAllConnections()
      return new Promise((resolve) => server.close(resolve))
    })
    const { port: bound } = server.address() as AddressInfo
    const url = `http://${host.includes(':') ? `[${host}]` : host}:${bound}`
    log.info({ url, servers, rules: rules.length }, 'dispatching')
    return {
      url,
      closed: scope.closed,
      close: () => scope.close(),
      [Symbol.asyncDispose]: async () => void (await scope.close()),
    }
  } catch (thrown) {
    await scope.close()
    throw thrown
  }
}
