import { Hono } from 'hono'
import type { TestPictures } from '../stream/test-pictures.ts'
import { publishQuery } from './ingest-query.ts'

/** `POST /test-picture/{stream}`: a moving picture with sound, made here and published through the ordinary ingest. */
export function testPictureRoutes(testPictures: TestPictures): Hono {
  const app = new Hono()
  app.post('/test-picture/:stream', async (c) => {
    const stream = c.req.param('stream')
    await testPictures.start(stream, publishQuery(c.req.query()))
    return c.json({ stream, started: true }, 201)
  })
  return app
}
