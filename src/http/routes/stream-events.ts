import { Hono } from 'hono'
import { streamSSE } from 'hono/streaming'
import { LatestBox } from '../../core/latest-box.ts'
import type { StreamEvent } from '../../stream/events.ts'
import type { StreamRegistry } from '../../stream/registry.ts'

/** Events that wait for one slow watcher; beyond it is let go, and resumes with Last-Event-ID. */
const MAX_BACKLOG = 500
const KEEPALIVE_MS = 15_000

/** `GET /streams/{stream}/events`: what happens in a stream, as server-sent events. */
export function streamEventRoutes(registry: StreamRegistry): Hono {
  const app = new Hono()
  app.get('/streams/:stream/events', (c) => {
    const stream = registry.get(c.req.param('stream'))
    const lastId = Number(c.req.header('last-event-id') ?? c.req.query('lastEventId') ?? Number.NaN)
    return streamSSE(c, async (sse) => {
      const backlog: StreamEvent[] = []
      const wake = new LatestBox<() => void>()
      const nudge = () => wake.take()?.()
      const leave = stream.events.subscribe(
        (event) => {
          backlog.push(event)
          nudge()
        },
        Number.isInteger(lastId) ? lastId : undefined,
      )
      sse.onAbort(nudge)
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
