import { Readable } from 'node:stream'
import type { HttpBindings } from '@hono/node-server'
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response'
import { Hono } from 'hono'
import { tsStream } from '../../mpegts/sink.ts'
import type { DataReader } from '../../stream/output/data.ts'
import type { StreamRegistry } from '../../stream/registry.ts'

/** A reader that takes nothing for this long is disconnected. */
const STALLED_MS = 30_000

/**
 * `GET /out/{stream}.ts`, an endless MPEG-TS; `GET /out/{stream}.jsonl`, the pipeline's messages; and `GET
 * /out/{stream}.jpg`, the newest frame.
 */
export function outRoutes(registry: StreamRegistry): Hono<{ Bindings: HttpBindings }> {
  const app = new Hono<{ Bindings: HttpBindings }>()

  app.get('/out/:file{.+\\.ts}', (c) => {
    const stream = registry.get(c.req.param('file').slice(0, -'.ts'.length))
    const headers = { 'content-type': 'video/mp2t', 'cache-control': 'no-store' }
    // Hono answers HEAD with the GET handler; nothing is opened for it.
    if (c.req.method === 'HEAD') return c.body(null, 200, headers)
    const leave = stream.admitViewer()
    const reader = stream.subscribe()
    const { outgoing } = c.env
    outgoing.writeHead(200, headers)
    outgoing.setTimeout(STALLED_MS, () => outgoing.destroy())
    const body = Readable.from(tsStream(reader), { objectMode: false, highWaterMark: 256 * 1024 })
    const end = () => {
      reader.end()
      leave()
    }
    outgoing.once('close', end)
    body.once('error', () => outgoing.destroy())
    body.pipe(outgoing)
    return RESPONSE_ALREADY_SENT
  })

  app.get('/out/:file{.+\\.jsonl}', (c) => {
    const stream = registry.get(c.req.param('file').slice(0, -'.jsonl'.length))
    const headers = { 'content-type': 'application/jsonl', 'cache-control': 'no-store', 'x-accel-buffering': 'no' }
    if (c.req.method === 'HEAD') return c.body(null, 200, headers)
    const reader = stream.data.subscribe()
    const { outgoing } = c.env
    outgoing.writeHead(200, headers)
    // Sent at once, because the first line may be long in coming.
    outgoing.flushHeaders()
    const body = Readable.from(lines(reader), { objectMode: false, highWaterMark: 64 * 1024 })
    let movedAt = Date.now()
    // A pipeline may be silent as long as it likes; only a client that does not read is disconnected.
    const look = setInterval(() => {
      if (outgoing.writableNeedDrain && Date.now() - movedAt > STALLED_MS) outgoing.destroy()
    }, STALLED_MS / 6)
    body.on('data', () => {
      movedAt = Date.now()
    })
    outgoing.once('close', () => {
      clearInterval(look)
      reader.end()
    })
    body.once('error', () => outgoing.destroy())
    body.pipe(outgoing)
    return RESPONSE_ALREADY_SENT
  })

  app.get('/out/:file{.+\\.jpg}', async (c) => {
    const stream = registry.get(c.req.param('file').slice(0, -'.jpg'.length))
    const { jpeg, etag } = await stream.still()
    const headers = { 'cache-control': 'max-age=1', etag }
    if (c.req.header('if-none-match') === etag) return c.body(null, 304, headers)
    return c.body(new Uint8Array(jpeg), 200, { ...headers, 'content-type': 'image/jpeg' })
  })

  return app
}

async function* lines(reader: DataReader): AsyncGenerator<Buffer> {
  for await (const line of reader) yield Buffer.from(`${line}\n`)
}
