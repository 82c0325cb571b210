import type { HttpBindings } from '@hono/node-server'
import { Hono } from 'hono'
import { streamSSE } from 'hono/streaming'
import { LatestBox } from '../../core/latest-box.ts'
import type { StreamEvent } from '../../stream/events.ts'
import type { StreamRegistry } from '../../stream/registry.ts'

/** Events that wait for one slow watcher; with more it is let go, and resumes with Last-Event-ID. */
const MAX_BACKLOG = 500
/** A watcher that takes nothing for this long is let go. */
const STALLED_MS = 30_000
const KEEPALIVE_MS = 15_000

/** `GET /streams/{stream}/events`: what happens in a stream, as server-sent events. */
export function streamEventRoutes(registry: StreamRegistry): Hono<{ Bindings: HttpBindings }> {
  const app = new Hono<{ Bindings: HttpBindings }>()
  app.get('/streams/:stream/events', (c) => {
    const stream = registry.get(c.req.param('stream'))
    // Proxies that buffer would hold events back (nginx reads this header).
    c.header('x-accel-buffering', 'no')
    // Hono answers HEAD with the handler of GET; nothing is opened for one.
    if (c.req.method === 'HEAD') return c.body(null, 200, { 'content-type': 'text/event-stream' })
    const { outgoing } = c.env
    const lastId = Number(c.req.header('last-event-id') ?? c.req.query('lastEventId') ?? Number.NaN)
    return streamSSE(c, async (sse) => {
      const backlog: StreamEvent[] = []
      const wake = new LatestBox<() => void>()
      const nudge = () => wake.take()?.()
      const leave = stream.events.subscribe(
        (event) => {
          // Looked at here, since a write to a watcher that does not read never ends.
          if (backlog.push(event) > MAX_BACKLOG) outgoing.destroy()
          nudge()
        },
        Number.isInteger(lastId) ? lastId : undefined,
      )
      sse.onAbort(nudge)
      outgoing.setTimeout(STALLED_MS, () => outgoing.destroy())
      const keepalive = setInterval(() => void sse.write(': keepalive\n\n'), KEEPALIVE_MS)
      try {
        while (!sse.aborted && backlog.length <= MAX_BACKLOG) {
          const event = backlog.shift()
          if (event) {
            await sse.writeSSE({ id: String(event.id), event: event.type, data: JSON.stringify(event) })
            if (event.type === 'ended') return
          } else await new Promise<void>((resolve) => wake.put(resolve))
        }
      } finally {
        clearInterval(keepalive)
        leave()
      }
    })
  })
  return app
}
