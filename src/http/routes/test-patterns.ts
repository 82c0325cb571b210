import { Hono } from 'hono'
import type { TestPatterns } from '../../stream/test-patterns.ts'
import { publishQuery } from './ingest-query.ts'

/** `POST /test-pattern/{stream}`: moving video with audio, generated here and published through the regular ingest. */
export function testPatternRoutes(testPatterns: TestPatterns): Hono {
  const app = new Hono()
  app.post('/test-pattern/:stream', async (c) => {
    const stream = c.req.param('stream')
    await testPatterns.start(stream, publishQuery(c.req.query()))
    return c.json({ stream, started: true }, 201)
  })
  // The name of this route up to version 0.1; 308 keeps method and body (RFC 9110 §15.4.9).
  app.post('/test-picture/:stream', (c) =>
    c.redirect(`../test-pattern/${encodeURIComponent(c.req.param('stream'))}${new URL(c.req.url).search}`, 308),
  )
  return app
}
