import { Hono } from 'hono'
import type { TestPatterns } from '../../stream/test-patterns.ts'
import { publishQuery } from './ingest-query.ts'

/** `POST /test-pattern/{stream}`: a moving image with audio, made here and published through the ordinary ingest. */
export function testPatternRoutes(testPatterns: TestPatterns): Hono {
  const app = new Hono()
  app.post('/test-pattern/:stream', async (c) => {
    const stream = c.req.param('stream')
    await testPatterns.start(stream, publishQuery(c.req.query()))
    return c.json({ stream, started: true }, 201)
  })
  // The name of this route up to version 0.1; RFC 9110 section 15.4.9 keeps the method and the body.
  app.post('/test-picture/:stream', (c) =>
    c.redirect(`../test-pattern/${encodeURIComponent(c.req.param('stream'))}${new URL(c.req.url).search}`, 308),
  )
  return app
}
