import type { HttpBindings } from '@hono/node-server'
import { Hono } from 'hono'
import { AppError } from '../../core/errors.ts'
import { openTsSource } from '../../mpegts/source.ts'
import type { StreamRegistry } from '../../stream/registry.ts'
import { problemResponse } from '../status.ts'
import { programQuery, publishQuery } from './ingest-query.ts'

/** `POST /ingest/{stream}`: an endless MPEG-TS body, published as long as it lasts. */
export function ingestRoutes(registry: StreamRegistry): Hono<{ Bindings: HttpBindings }> {
  const app = new Hono<{ Bindings: HttpBindings }>()
  app.on(['POST', 'PUT'], '/ingest/:stream', async (c) => {
    const { incoming } = c.env
    const name = c.req.param('stream')
    try {
      checkNotCompressed(c.req.header('content-encoding'))
      const query = publishQuery(c.req.query())
      const program = programQuery(c.req.query())
      await using publication = await registry.publish(name, {
        ...query,
        open: (context, wants) => openTsSource({ kind: 'mpegts', bytes: incoming, ...wants, ...program }, context),
      })
      const closed = await publication.closed
      if (closed.error) throw closed.error
      return c.json({ stream: name, ended: closed.why })
    } catch (thrown) {
      if (incoming.destroyed && !incoming.complete)
        throw new AppError('peer-failed', 'the publisher left', { cause: thrown })
      return problemResponse(c, AppError.from(thrown))
    }
  })
  return app
}

function checkNotCompressed(coding = 'identity'): void {
  if (coding.trim().toLowerCase() === 'identity') return
  const message = `the body is compressed (Content-Encoding: ${coding.slice(0, 40)}); send MPEG-TS as it is`
  throw new AppError('unsupported-media', message, { details: { accepted: 'MPEG-TS without Content-Encoding' } })
}
