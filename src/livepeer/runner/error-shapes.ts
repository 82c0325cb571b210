import type { Context } from 'hono'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import type { ZodError } from 'zod'
import { AppError, type Issue } from '../../core/errors.ts'
import { withoutPaths } from '../../core/plain-paths.ts'

/** The original's description of a wrong field, by the expected type. */
const EXPECTED: Record<string, { type: string; msg: string }> = {
  string: { type: 'string_type', msg: 'Input should be a valid string' },
  record: { type: 'dict_type', msg: 'Input should be a valid dictionary' },
  object: {
    type: 'model_attributes_type',
    msg: 'Input should be a valid dictionary or object to extract fields from',
  },
}

export type ValidationDetail = { loc: (string | number)[]; msg: string; type: string }

/** `detail` of a 422 for a body of the wrong form. */
export function validationDetail(error: ZodError, body: unknown): ValidationDetail[] {
  return error.issues.map((issue) => {
    const path = issue.path.map((key) => (typeof key === 'number' ? key : String(key)))
    const loc = ['body', ...path]
    if (path.length > 0 && valueAt(body, path) === undefined) return { loc, msg: 'Field required', type: 'missing' }
    const expected = issue.code === 'invalid_type' ? EXPECTED[issue.expected] : undefined
    return expected ? { loc, ...expected } : { loc, msg: issue.message, type: 'value_error' }
  })
}

/** The same for a body that is not JSON. */
export function jsonDetail(cause: unknown): ValidationDetail[] {
  const why = cause instanceof Error ? cause.message : String(cause)
  return [{ loc: ['body', 0], msg: `JSON decode error: ${why}`, type: 'json_invalid' }]
}

/** The same for numbers that JSON cannot carry. */
export function numberDetail(issues: readonly Issue[]): ValidationDetail[] {
  return issues.map(({ path, message }) => ({ loc: ['body', ...path], msg: message, type: 'finite_number' }))
}

/** The error with all its fields, in one line. */
export function lineOf(error: AppError): string {
  const fields = error.issues?.map(({ path, message }) => `${path.join('.') || 'params'}: ${message}`) ?? []
  return [error.message, ...fields.filter((line) => !error.message.includes(line))].join('; ')
}

/** An error of the runner's outer API: `{"detail":{"msg":…}}`. */
export function detailResponse(c: Context, thrown: unknown): Response {
  const error = AppError.from(thrown)
  if (error.code === 'unauthorized') {
    return c.json({ detail: { msg: 'Invalid bearer token.' } }, 401, { 'www-authenticate': 'Bearer' })
  }
  const busy = error.code === 'capacity'
  const status: ContentfulStatusCode = busy ? 503 : error.code === 'internal' ? 500 : 400
  return c.json({ detail: { msg: withoutPaths(lineOf(error)) } }, status, busy ? { 'retry-after': '5' } : {})
}

/** An error of the runner's inner API: plain text after `what`. */
export function textResponse(c: Context, what: string, thrown: unknown): Response {
  const error = AppError.from(thrown)
  if (error.code === 'unauthorized') return detailResponse(c, error)
  const busy = error.code === 'capacity'
  return c.text(`${what}: ${withoutPaths(lineOf(error))}`, busy ? 503 : 400, busy ? { 'retry-after': '5' } : {})
}

function valueAt(value: unknown, path: (string | number)[]): unknown {
  let at = value
  for (const key of path) at = (at as Record<string | number, unknown> | null | undefined)?.[key]
  return at
}
