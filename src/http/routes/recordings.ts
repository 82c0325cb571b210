import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import type { HttpBindings } from '@hono/node-server'
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response'
import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import parseRange from 'range-parser'
import { AppError } from '../../core/errors.ts'
import type { Recordings } from '../../recording/recordings.ts'
import { checkStreamName } from '../../stream/registry.ts'
import { bytes, describedRoutes, needs, ok, problem, StreamName, streamParam } from '../openapi/describe.ts'
import { RecordedFileSchema, RecordingSchema } from '../openapi/schemas.ts'

/** A reader that takes nothing for this long is disconnected. */
const STALLED_MS = 30_000

const View = z.enum(['input', 'output']).default('output')
const start = createRoute({
  method: 'post',
  path: '/streams/{stream}/recordings',
  operationId: 'startRecording',
  tags: ['Recordings'],
  summary: 'Record a stream',
  description:
    'Records the output with its audio, or the input as `/whep/{stream}?view=input` shows it, until the recording or the stream ' +
    'ends. Fragmented MP4; a new file starts when the resolution changes, and after RECORD_SPLIT_SECONDS or RECORD_SPLIT_MB.',
  security: needs.authToken,
  request: {
    params: streamParam,
    body: { content: { 'application/json': { schema: z.strictObject({ view: View }).openapi('RecordingRequest') } } },
  },
  responses: {
    201: {
      ...ok('It runs; its first file begins at the next keyframe.', RecordingSchema),
      headers: z.object({ Location: z.string() }),
    },
    400: problem('Invalid stream name or body.'),
    404: problem('No such stream.'),
    409: problem('This view is being recorded already.'),
    413: problem('The body is longer than MAX_BODY_BYTES.'),
    503: problem('The disk is full, or the recordings have reached their size limit.'),
  },
})
const recordingParam = z.object({
  stream: StreamName,
  id: z.string().openapi({ param: { name: 'id', in: 'path' }, example: '3f9a1c0be412' }),
})
const stop = createRoute({
  method: 'delete',
  path: '/streams/{stream}/recordings/{id}',
  operationId: 'endRecording',
  tags: ['Recordings'],
  summary: 'End a recording',
  security: needs.authToken,
  request: { params: recordingParam },
  responses: {
    200: ok('Its files are complete.', RecordingSchema),
    400: problem('Invalid stream name.'),
    404: problem('No such recording.'),
  },
})
const listOf = createRoute({
  method: 'get',
  path: '/streams/{stream}/recordings',
  operationId: 'listRecordingsOfStream',
  tags: ['Recordings'],
  summary: 'List running and recent recordings of a stream',
  security: needs.viewToken,
  request: { params: streamParam },
  responses: { 200: ok('Oldest first.', z.array(RecordingSchema)), 400: problem('Invalid stream name.') },
})
const list = createRoute({
  method: 'get',
  path: '/recordings',
  operationId: 'listRecordings',
  tags: ['Recordings'],
  summary: 'List recorded files',
  security: needs.viewToken,
  responses: { 200: ok('Newest first.', z.array(RecordedFileSchema)) },
})
const file = createRoute({
  method: 'get',
  path: '/recordings/{file}',
  operationId: 'getRecording',
  tags: ['Recordings'],
  summary: 'Get a recorded file, or a range of it (RFC 9110 §14)',
  security: needs.viewToken,
  request: {
    params: z.object({
      file: z.string().openapi({ param: { name: 'file', in: 'path' }, example: 'demo-20261129T232003120Z.mp4' }),
    }),
  },
  responses: {
    200: bytes('The file; one being recorded, up to its present end.', 'video/mp4'),
    206: bytes('The requested range.', 'video/mp4'),
    404: problem('No such file.'),
    416: { description: 'The range starts after the end of the file.' },
  },
})

/** Recordings of streams, and their files. */
export function recordingRoutes(recordings: Recordings): OpenAPIHono {
  const app = describedRoutes()
  app.openapi(start, async (c) => {
    const { stream } = c.req.valid('param')
    const status = await recordings.start(stream, c.req.valid('json')?.view ?? 'output')
    // Relative to this route, because a proxy may strip a path prefix.
    c.header('location', `recordings/${status.id}`)
    return c.json(status, 201)
  })
  app.openapi(stop, async (c) => {
    const { stream, id } = c.req.valid('param')
    return c.json(await recordings.stop(stream, id), 200)
  })
  app.openapi(listOf, (c) => c.json(recordings.of(checkStreamName(c.req.valid('param').stream)), 200))
  app.openapi(list, async (c) => c.json(await recordings.files(), 200))
  app.openAPIRegistry.registerPath(file)
  app.get('/recordings/:file', async (c) => {
    const name = c.req.param('file')
    const path = recordings.pathOf(name)
    const size = path === undefined ? undefined : (await stat(path).catch(() => undefined))?.size
    if (path === undefined || size === undefined) {
      throw new AppError('not-found', `there is no recording "${name.slice(0, 120)}"`)
    }
    const { outgoing } = c.env as HttpBindings
    const range = rangeOf(c.req.header('range'), size)
    const headers = { 'content-type': 'video/mp4', 'accept-ranges': 'bytes', 'cache-control': 'no-cache' }
    if (range === 'none') return c.body(null, 416, { 'content-range': `bytes */${size}` })
    const { start, end } = range ?? { start: 0, end: size - 1 }
    const told = range ? { 'content-range': `bytes ${start}-${end}/${size}` } : {}
    const length = String(Math.max(0, end - start + 1))
    outgoing.writeHead(range ? 206 : 200, { ...headers, ...told, 'content-length': length })
    if (c.req.method === 'HEAD' || size === 0) outgoing.end()
    else {
      const body = createReadStream(path, { start, end })
      body.once('error', () => outgoing.destroy())
      outgoing.setTimeout(STALLED_MS, () => outgoing.destroy())
      outgoing.once('close', () => body.destroy())
      body.pipe(outgoing)
    }
    return RESPONSE_ALREADY_SENT
  })
  return app
}

/** The first requested range; undefined for the whole file, 'none' if it cannot be satisfied. */
function rangeOf(header: string | undefined, size: number): { start: number; end: number } | 'none' | undefined {
  if (header === undefined) return undefined
  const ranges = parseRange(size, header)
  if (ranges === -1) return 'none'
  // Invalid ranges and other units are ignored (RFC 9110 §14.2).
  return ranges === -2 || ranges.type !== 'bytes' ? undefined : ranges[0]
}
