import { Hono } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import { AppError } from '../core/errors.ts'
import type { Log } from '../core/log.ts'
import type { Dispatcher } from './dispatcher.ts'
import { PROCESSOR } from './livekit/rooms.ts'
import { concernedRoom, readWebhook, type WebhookKey } from './livekit/webhook.ts'
import type { DispatchMetrics } from './metrics.ts'

/** Limit of a webhook: a room with its metadata, and a participant with all tracks. */
const MAX_BODY_BYTES = 1024 * 1024

export type DispatchAppOptions = {
  dispatcher: Dispatcher
  metrics: DispatchMetrics
  key: WebhookKey
  version: string
  log: Log
}

/** The dispatcher's HTTP server: receives webhooks, serves health and metrics. */
export function createDispatchApp({ dispatcher, metrics, key, version, log }: DispatchAppOptions): Hono {
  const app = new Hono()
  app.onError((thrown, c) => {
    const error = AppError.from(thrown)
    const status = error.code === 'unauthorized' ? 401 : error.code === 'internal' ? 500 : 400
    if (status === 500) log.error({ err: error, path: c.req.path }, 'request failed')
    return problem(status, error.code, error.message)
  })
  app.notFound((c) => problem(404, 'not-found', `there is nothing at ${c.req.path}`))
  const tooLong = () => problem(413, 'invalid-request', `a webhook has ${MAX_BODY_BYTES} bytes at most`)
  app.post('/livekit/webhook', bodyLimit({ maxSize: MAX_BODY_BYTES, onError: tooLong }), async (c) => {
    const body = new Uint8Array(await c.req.arrayBuffer())
    try {
      const event = await readWebhook(body, c.req.header('authorization'), key)
      metrics.webhook('accepted')
      const room = concernedRoom(event)
      if (room !== undefined) dispatcher.notice(room)
      return c.body(null, 204)
    } catch (thrown) {
      metrics.webhook('refused')
      log.warn({ why: (thrown as Error).message }, 'webhook refused')
      throw thrown
    }
  })
  app.get('/health', (c) => c.json({ status: 'OK', version, identity: PROCESSOR }))
  app.get('/ready', (c) => {
    const { ready } = dispatcher
    const { servers, reached } = dispatcher.fleet.counts
    return c.json({ ready, servers, reached, waiting: dispatcher.waiting }, ready ? 200 : 503)
  })
  app.get('/metrics', async (c) => c.text(await metrics.text(), 200, { 'content-type': metrics.contentType }))
  return app
}

function problem(status: number, code: string, detail: string): Response {
  const headers = { 'content-type': 'application/problem+json' }
  return new Response(JSON.stringify({ title: code, status, code, detail }), { status, headers })
}
