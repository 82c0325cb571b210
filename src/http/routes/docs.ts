import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { OpenAPIHono } from '@hono/zod-openapi'
import { Hono } from 'hono'
import { describeMedia } from '../openapi/media.ts'
import { describeService } from '../openapi/service.ts'
import { describeTrickle } from '../openapi/trickle.ts'

export type DocsOptions = {
  /** The app with every route that describes itself, complete when the first request comes. */
  app: Pick<OpenAPIHono, 'openAPIRegistry' | 'getOpenAPI31Document'>
  version: string
  /** Folder of the page, which includes the API reference. */
  publicDir: string
}

type Document = ReturnType<OpenAPIHono['getOpenAPI31Document']>

/** `GET /openapi.json`, and `GET /docs`, which displays it. */
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

const ABOUT = `Millrace runs a live video stream through an AI pipeline and serves the result to viewers.

Streams are published and watched by WebRTC, MPEG-TS or trickle; params can change while a stream runs.
Errors are RFC 9457 problem details with a stable \`code\`, and for invalid input a list \`errors\`, each with a JSON Pointer and a message.
Every response has an \`X-Request-Id\`: that of the client if it sent one.

With an \`AUTH_TOKEN\`, publishing and control require it; with a \`VIEW_TOKEN\`, watching requires either.`

const TAGS = [
  { name: 'In', description: 'Publishing streams.' },
  { name: 'Out', description: 'Watching streams.' },
  { name: 'Streams', description: 'Status, events, params and end of streams.' },
  { name: 'Pipelines', description: 'Installed pipelines.' },
  { name: 'Livepeer', description: 'The runner contract of the Livepeer network.' },
  { name: 'Recordings', description: 'Recordings of streams.' },
  { name: 'Service', description: 'The server as a whole.' },
]

const bearer = (description: string) => ({ type: 'http', scheme: 'bearer', description }) as const

function openApiDocument({ app, version }: DocsOptions): Document {
  const registry = app.openAPIRegistry
  describeMedia(registry)
  describeTrickle(registry)
  describeService(registry)
  registry.registerComponent('securitySchemes', 'authToken', bearer('AUTH_TOKEN of the server, or a signed token.'))
  registry.registerComponent(
    'securitySchemes',
    'viewToken',
    bearer('VIEW_TOKEN of the server, its AUTH_TOKEN, or a signed token.'),
  )
  const document = app.getOpenAPI31Document({
    openapi: '3.1.0',
    info: {
      title: 'Millrace',
      version,
      description: ABOUT,
      license: { name: 'MIT', url: 'https://opensource.org/license/mit' },
    },
    // Relative to the document (OpenAPI §4.8.5).
    servers: [{ url: './' }],
    tags: TAGS,
  })
  addRefusals(document)
  leaveContent(document)
  return document
}

/** Adds the refusals to every route that requires a token. */
function addRefusals(document: Document): void {
  const content = {
    'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } },
  }
  for (const path of Object.values(document.paths ?? {})) {
    for (const operation of [path.get, path.post, path.put, path.patch, path.delete, path.options]) {
      if (!operation?.security?.length) continue
      operation.responses = { 401: { description: 'The token is missing or wrong.', content }, ...operation.responses }
    }
  }
}

/** A parameter with JSON content has no schema of its own (OpenAPI 3.1 §4.8.12.2). */
function leaveContent(document: Document): void {
  for (const path of Object.values(document.paths ?? {})) {
    for (const operation of [path.get, path.post, path.put, path.patch, path.delete, path.options]) {
      for (const parameter of operation?.parameters ?? [])
        if ('content' in parameter && parameter.content && 'schema' in parameter) delete parameter.schema
    }
  }
}
