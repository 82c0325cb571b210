import { OpenAPIHono, z } from '@hono/zod-openapi'
import { AppError } from '../../core/errors.ts'
import { issuesOf } from '../status.ts'
import { ProblemSchema } from './schemas.ts'

/** Routes whose schemas both validate requests and describe them; an invalid request is answered as a problem. */
export function describedRoutes(): OpenAPIHono {
  return new OpenAPIHono({
    defaultHook: (result) => {
      if (result.success) return
      throw new AppError('invalid-request', 'the request does not have the expected form', {
        issues: issuesOf(result.error),
      })
    },
  })
}

/** Registry for routes that are not made with `createRoute`. */
export type RouteRegistry = OpenAPIHono['openAPIRegistry']

/** Security requirements in the document. They apply only if the server has such a token. */
export const needs = {
  nothing: [],
  viewToken: [{ viewToken: [] }],
  authToken: [{ authToken: [] }],
} satisfies Record<string, Record<string, string[]>[]>

/** A JSON response. */
export function ok<T extends z.ZodType>(description: string, schema: T) {
  return { description, content: { 'application/json': { schema } } }
}

/** An error response: RFC 9457 problem details. */
export function problem(description: string) {
  return { description, content: { 'application/problem+json': { schema: ProblemSchema } } }
}

/** A response of bytes, or of text without a schema. */
export function bytes(description: string, type: string, more: { description?: string } = {}) {
  return { description, content: { [type]: { schema: { type: 'string' as const, ...more } } } }
}

/** Pattern of stream names in the document; the registry validates them. */
export const STREAM_NAME = '^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$'

export const StreamName = z.string().openapi({
  param: { name: 'stream', in: 'path' },
  pattern: STREAM_NAME,
  example: 'demo',
  description: 'Up to 64 letters, digits, `_`, `.` and `-`, beginning with a letter or digit.',
})

export const streamParam = z.object({ stream: StreamName })

/** Options for a new stream in the query of its publish URL. */
export const publishQueryParams = z.object({
  pipeline: z.string().min(1).optional().openapi({
    description: 'A pipeline, or a comma-separated chain; by default the server’s default pipeline.',
    example: 'effects',
  }),
  params: z
    .string()
    .optional()
    .openapi({
      param: { name: 'params', in: 'query', content: { 'application/json': { schema: { type: 'object' } } } },
      description: 'Initial params of the pipeline, as a JSON object.',
    }),
})

/** The same for MPEG-TS. */
export const tsQueryParams = publishQueryParams.extend({
  program: z
    .string()
    .optional()
    .openapi({
      ...{ type: 'integer', minimum: 1, maximum: 65_535 },
      description: 'Number of the MPEG-TS program to read, 1 to 65535; by default the first supported one.',
      example: '2',
    }),
})

export const publishProblems = {
  400: problem('Invalid name or query, or unsupported media.'),
  404: problem('No such pipeline, or too many streams are waiting for publishers.'),
  409: problem('The stream has a publisher already.'),
  422: problem('The params were rejected, field by field.'),
  429: problem('Too many session requests from this address; `Retry-After` says when to retry.'),
  503: problem('All streams are in use, or the server is shutting down; `Retry-After` says when to retry.'),
}
