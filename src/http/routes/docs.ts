import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { OpenAPIHono } from '@hono/zod-openapi'
import { Hono } from 'hono'
import { describeMedia } from '../openapi/media.ts'
import { describeService } from '../openapi/service.ts'
import { describeTrickle } from '../openapi/trickle.ts'

export type DocsOptions = {
  /** Has, or will have when the first request comes, every route that describes itself. */
  app: Pick<OpenAPIHono, 'openAPIRegistry' | 'getOpenAPI31Document'>
  version: string
  /** Folder of the page, which has the reader of the description too. */
  publicDir: string
}

type Document = ReturnType<OpenAPIHono['getOpenAPI31Document']>

/** `GET /openapi.json` and `GET /docs`, which shows it. */
export function docsRoutes(options: DocsOptions): Hono {
  const app = new Hono()
  let document: Document | undefined
  app.get('/openapi.json', (c) => {
    document ??= openApiDocument(options)
    return c.json(document, 200, { 'cache-control': 'no-cache' })
  })
  app.get('/docs', async (c) => c.html(await readFile(join(options.publicDir, 'reference', 'index.html'), 'utf8')))
  return app
}

const ABOUT = `Millrace puts a live video stream through an AI pipeline and back out to viewers.

A stream comes in by WebRTC, MPEG-TS or trickle; its params change while it runs; the result is watched by WebRTC, MPEG-TS or trickle.
Errors are RFC 9457 problem details with a stable \`code\`, and for bad input a list \`errors\` with a JSON Pointer and a message each.
Every answer carries \`X-Request-Id\`: the client's own when it sent one.

While the server has an \`AUTH_TOKEN\`, publishing and control need it; while it has a \`VIEW_TOKEN\`, watching needs one of the two.`

const TAGS = [
  { name: 'In', description: 'Publishing.' },
  { name: 'Out', description: 'Watching.' },
  { name: 'Streams', description: 'Status, events and end of streams, and their params.' },
  { name: 'Pipelines', description: 'What can run.' },
  { name: 'Livepeer', description: 'The runner contract of the Livepeer network.' },
  { name: 'Service', description: 'The server as a whole.' },
]

const bearer = (description: string) => ({ type: 'http', scheme: 'bearer', description }) as const

function openApiDocument({ app, version }: DocsOptions): Document {
  const registry = app.openAPIRegistry
  describeMedia(registry)
  describeTrickle(registry)
  describeService(registry)
  registry.registerComponent('securitySchemes', 'authToken', bearer('AUTH_TOKEN of the server.'))
  registry.registerComponent('securitySchemes', 'viewToken', bearer('VIEW_TOKEN of the server, or its AUTH_TOKEN.'))
  const document = app.getOpenAPI31Document({
    openapi: '3.1.0',
    info: {
      title: 'Millrace',
      version,
      description: ABOUT,
      license: { name: 'MIT', url: 'https://opensource.org/license/mit' },
    },
    servers: [{ url: '/' }],
    tags: TAGS,
  })
  addRefusals(document)
  return document
}

/** Whatever needs a token may be refused for want of it. */
function addRefusals(document: Document): void {
  const content = {
    'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } },
  }
  for (const path of Object.values(document.paths ?? {})) {
    for (const operation of [path.get, path.post, path.put, path.patch, path.delete]) {
      if (!operation?.security?.length) continue
      operation.responses = { 401: { description: 'The token is missing or wrong.', content }, ...operation.responses }
    }
  }
}
