import type { HttpBindings } from '@hono/node-server'
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response'
import { Hono } from 'hono'
import { AppError } from '../../core/errors.ts'
import type { PlacementFeed } from '../../remote/livekit/placement-feed.ts'

/** Limit of unread bytes, with one line per change; a client that does not read is disconnected. */
const MAX_UNREAD_BYTES = 1024 * 1024
const MAX_READERS = 32

/**
 * `GET /placements`: the state of this server's LiveKit rooms as an endless stream of JSON lines, for `millrace
 * dispatch`.
 */
export function placementRoutes(feed: PlacementFeed): Hono<{ Bindings: HttpBindings }> {
  const app = new Hono<{ Bindings: HttpBindings }>()
  let readers = 0
  app.get('/placements', (c) => {
    const headers = { 'content-type': 'application/jsonl', 'cache-control': 'no-store', 'x-accel-buffering': 'no' }
    if (c.req.method === 'HEAD') return c.body(null, 200, headers)
    if (readers >= MAX_READERS)
      throw new AppError('capacity', `${MAX_READERS} dispatchers listen already`, { retryable: true })
    readers++
    const { outgoing } = c.env
    outgoing.writeHead(200, headers)
    const leave = feed.subscribe((line) => {
      outgoing.write(`${line}\n`)
      if (outgoing.writableLength > MAX_UNREAD_BYTES) outgoing.destroy()
    })
    const end = () => outgoing.end()
    feed.ending.addEventListener('abort', end, { once: true })
    outgoing.once('close', () => {
      readers--
      feed.ending.removeEventListener('abort', end)
      leave()
    })
    return RESPONSE_ALREADY_SENT
  })
  return app
}
