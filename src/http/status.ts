import type { Context } from 'hono'
import { HTTPException } from 'hono/http-exception'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import { ZodError } from 'zod'
import { AppError, type ErrorCode, type Issue } from '../core/errors.ts'
import { plainly, withoutPaths } from '../core/plain-paths.ts'

const STATUS: Record<ErrorCode, ContentfulStatusCode> = {
  'invalid-request': 400,
  unauthorized: 401,
  'not-found': 404,
  conflict: 409,
  'unsupported-media': 415,
  'invalid-params': 422,
  capacity: 503,
  timeout: 504,
  'pipeline-failed': 502,
  'ffmpeg-failed': 500,
  'peer-failed': 502,
  'trickle-failed': 502,
  internal: 500,
}

const TITLES: Record<ErrorCode, string> = {
  'invalid-request': 'The request is not valid',
  unauthorized: 'A token is needed',
  'not-found': 'Not found',
  conflict: 'Not possible now',
  'unsupported-media': 'Unsupported media',
  'invalid-params': 'The params are not valid',
  capacity: 'No room at present',
  timeout: 'It took too long',
  'pipeline-failed': 'The pipeline failed',
  'ffmpeg-failed': 'ffmpeg failed',
  'peer-failed': 'The peer failed',
  'trickle-failed': 'The trickle server failed',
  internal: 'An error inside the server',
}

/** An error as RFC 9457 problem details. Only this file maps codes to statuses. */
export type Problem = {
  type: 'about:blank'
  title: string
  status: number
  detail: string
  code: ErrorCode
  errors?: { path: string; message: string }[]
  details?: Record<string, unknown>
}

export function problemOf(error: AppError, status = STATUS[error.code]): Problem {
  return {
    type: 'about:blank',
    title: TITLES[error.code],
    status,
    detail: withoutPaths(error.message),
    code: error.code,
    ...(error.issues && { errors: error.issues.map(pointed) }),
    ...(error.details && { details: plainly(error.details) }),
  }
}

/** `status` is for distinctions that only HTTP makes, such as 413 and 429. */
export function problemResponse(c: Context, error: AppError, status?: ContentfulStatusCode): Response {
  const problem = problemOf(error, status)
  const headers: Record<string, string> = { 'content-type': 'application/problem+json' }
  const after = error.details?.retryAfterSeconds ?? (error.code === 'capacity' ? 5 : undefined)
  if (after !== undefined) headers['retry-after'] = String(after)
  if (error.code === 'unauthorized') headers['www-authenticate'] = 'Bearer'
  return c.body(JSON.stringify(problem), problem.status as ContentfulStatusCode, headers)
}

/** Turns anything thrown into a response; unexpected errors are logged with their stack and sent without. */
export function errorOf(thrown: unknown): AppError {
  if (thrown instanceof AppError) return thrown
  if (thrown instanceof ZodError) {
    return new AppError('invalid-request', 'the request does not have the expected form', { issues: issuesOf(thrown) })
  }
  if (thrown instanceof HTTPException) {
    const code = (Object.keys(STATUS) as ErrorCode[]).find((key) => STATUS[key] === thrown.status)
    return new AppError(code ?? 'invalid-request', thrown.message)
  }
  if (thrown instanceof DOMException && thrown.name === 'AbortError') {
    return new AppError('conflict', 'what was asked for has ended meanwhile', { retryable: true, cause: thrown })
  }
  return new AppError('internal', 'an error inside the server; its log says more', { cause: thrown })
}

export function issuesOf(error: Pick<ZodError, 'issues'>): Issue[] {
  return error.issues.map((issue) => ({
    path: issue.path.map((key) => (typeof key === 'number' ? key : String(key))),
    message: issue.message,
  }))
}

/** The path as a JSON Pointer (RFC 6901). */
function pointed(issue: Issue): { path: string; message: string } {
  const path = issue.path.map((key) => `/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')
  return { path, message: withoutPaths(issue.message) }
}
