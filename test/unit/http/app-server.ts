import { once } from 'node:events'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createAdaptorServer, type HttpBindings } from '@hono/node-server'
import { Hono } from 'hono'

/** Serves the routes `build` adds to an app, on a free port. */
export async function serveApp(
  build: (app: Hono<{ Bindings: HttpBindings }>) => void,
): Promise<AsyncDisposable & { url: string; port: number }> {
  const app = new Hono<{ Bindings: HttpBindings }>()
  build(app)
  const server = createAdaptorServer({ fetch: app.fetch, autoCleanupIncoming: false }) as Server
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
