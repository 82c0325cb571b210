import { OpenAPIHono, z } from '@hono/zod-openapi'
import { AppError } from '../../core/errors.ts'
import { issuesOf } from '../status.ts'
import { ProblemSchema } from './schemas.ts'

/** Routes that are described by the schemas that check their requests; what does not fit is answered as a problem. */
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

/** Where routes are described that are not written with `createRoute`. */
export type RouteRegistry = OpenAPIHono['openAPIRegistry']

/** What a request must carry, as the document says it. Nothing of it is asked for while the server has no such token. */
export const needs = {
  nothing: [],
  viewToken: [{ viewToken: [] }],
  authToken: [{ authToken: [] }],
} satisfies Record<string, Record<string, string[]>[]>

/** An answer of JSON. */
export function ok<T extends z.ZodType>(description: string, schema: T) {
  return { description, content: { 'application/json': { schema } } }
}

/** An answer of RFC 9457 problem details. */
export function problem(description: string) {
  return { description, content: { 'application/problem+json': { schema: ProblemSchema } } }
}

/** An answer of bytes, or of text that no schema describes. */
export function bytes(description: string, type: string, more: { description?: string } = {}) {
  return { description, content: { [type]: { schema: { type: 'string' as const, ...more } } } }
}

export const StreamName = z.string().openapi({
  param: { name: 'stream', in: 'path' },
  example: 'demo',
  description: 'Up to 64 letters, digits, `_`, `.` and `-`, beginning with a letter or digit.',
})

export const streamParam = z.object({ stream: StreamName })

/** What may be said about a new stream in the query of the URL it is published to. */
export const publishQueryParams = z.object({
  pipeline: z.string().optional().openapi({ description: 'The default pipeline when absent.', example: 'effects' }),
  params: z
    .string()
    .optional()
    .openapi({ description: 'A JSON object: initial params of the pipeline.', example: '{"effect":"edges"}' }),
})

export const publishProblems = {
  400: problem('The name, the query or the media is not accepted.'),
  404: problem('No such pipeline.'),
  409: problem('The stream has a publisher already.'),
  422: problem('The params were rejected, field by field.'),
  429: problem('Too many sessions were asked for from this address; `Retry-After` says when to ask again.'),
  503: problem('No stream is free, or the server is shutting down; `Retry-After` says when to ask again.'),
}
