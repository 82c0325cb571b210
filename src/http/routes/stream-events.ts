import type { HttpBindings } from '@hono/node-server'
import { Hono } from 'hono'
import { streamSSE } from 'hono/streaming'
import { LatestBox } from '../../core/latest-box.ts'
import { withoutPaths } from '../../core/plain-paths.ts'
import type { StreamEvent } from '../../stream/events.ts'
import type { StreamRegistry } from '../../stream/registry.ts'

/** Events that wait for one slow client; beyond this it is disconnected, and resumes with Last-Event-ID. */
const MAX_BACKLOG = 500
/** A client that takes nothing for this long is disconnected. */
const STALLED_MS = 30_000
const KEEPALIVE_MS = 15_000

/** `GET /streams/{stream}/events`: a stream's events as server-sent events. */
export function streamEventRoutes(registry: StreamRegistry): Hono<{ Bindings: HttpBindings }> {
  const app = new Hono<{ Bindings: HttpBindings }>()
  app.get('/streams/:stream/events', (c) => {
    const stream = registry.get(c.req.param('stream'))
    // Keeps proxies such as nginx from buffering events.
    c.header('x-accel-buffering', 'no')
    // Hono answers HEAD with the GET handler; nothing is opened for it.
    if (c.req.method === 'HEAD') return c.body(null, 200, { 'content-type': 'text/event-stream' })
    const { outgoing } = c.env
    const lastId = Number(c.req.header('last-event-id') ?? c.req.query('lastEventId') ?? Number.NaN)
    return streamSSE(c, async (sse) => {
      const backlog: StreamEvent[] = []
      const wake = new LatestBox<() => void>()
      const nudge = () => wake.take()?.()
      const leave = stream.events.subscribe(
        (event) => {
          // Checked here, because a write to a client that does not read never ends.
          if (backlog.push(event) > MAX_BACKLOG) outgoing.destroy()
          nudge()
        },
        Number.isInteger(lastId) ? lastId : undefined,
      )
      const data = stream.data.subscribe(nudge)
      sse.onAbort(nudge)
      outgoing.setTimeout(STALLED_MS, () => outgoing.destroy())
      const keepalive = setInterval(() => void sse.write(': keepalive\n\n'), KEEPALIVE_MS)
      try {
        while (!sse.aborted && backlog.length <= MAX_BACKLOG) {
          const event = backlog.shift()
          if (event) {
            await sse.writeSSE({ id: String(event.id), event: event.type, data: told(event) })
            if (event.type === 'ended') return
            continue
          }
          const line = data.shift()
          // Without an id, because past messages are not repeated.
          if (line !== undefined) await sse.writeSSE({ event: 'data', data: `{"type":"data",${line.slice(1)}` })
          else await new Promise<void>((resolve) => wake.put(resolve))
        }
      } finally {
        clearInterval(keepalive)
        leave()
        data.end()
      }
    })
  })
  return app
}

/** The path of a pipeline's failing code is hidden: it is the operator's. */
function told(event: StreamEvent): string {
  const json = JSON.stringify(event)
  return event.type === 'pipeline' ? withoutPaths(json) : json
}
