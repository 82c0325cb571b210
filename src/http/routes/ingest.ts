import type { HttpBindings } from '@hono/node-server'
import { Hono } from 'hono'
import { AppError } from '../../core/errors.ts'
import { openTsSource } from '../../mpegts/source.ts'
import type { StreamRegistry } from '../../stream/registry.ts'
import { problemResponse } from '../status.ts'
import { publishQuery } from './ingest-query.ts'

/** `POST /ingest/{stream}`: one endless MPEG-TS body, published for as long as it lasts. */
export function ingestRoutes(registry: StreamRegistry): Hono<{ Bindings: HttpBindings }> {
  const app = new Hono<{ Bindings: HttpBindings }>()
  app.on(['POST', 'PUT'], '/ingest/:stream', async (c) => {
    const { incoming } = c.env
    const name = c.req.param('stream')
    try {
      const query = publishQuery(c.req.query())
      await using publication = await registry.publish(name, {
        ...query,
        open: (context) => openTsSource({ kind: 'mpegts', bytes: incoming }, context),
      })
      const closed = await publication.closed
      if (closed.error) throw closed.error
      return c.json({ stream: name, ended: closed.why })
    } catch (thrown) {
      // The rest of the body is not wanted: the connection ends with the answer.
      c.header('connection', 'close')
      if (incoming.destroyed && !incoming.complete)
        throw new AppError('peer-failed', 'the publisher left', { cause: thrown })
      const answer = problemResponse(c, AppError.from(thrown))
      answer.headers.set('connection', 'close')
      return answer
    }
  })
  return app
}
