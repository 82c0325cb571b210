import type { Context } from 'hono'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import type { ZodError } from 'zod'
import { AppError } from '../../core/errors.ts'

/** How the original names what is wrong with a field, by the type that was expected. */
const EXPECTED: Record<string, { type: string; msg: string }> = {
  string: { type: 'string_type', msg: 'Input should be a valid string' },
  record: { type: 'dict_type', msg: 'Input should be a valid dictionary' },
  object: {
    type: 'model_attributes_type',
    msg: 'Input should be a valid dictionary or object to extract fields from',
  },
}

export type ValidationDetail = { loc: (string | number)[]; msg: string; type: string }

/** A body that does not have the expected form, as `detail` of a 422. */
export function validationDetail(error: ZodError, body: unknown): ValidationDetail[] {
  return error.issues.map((issue) => {
    const path = issue.path.map((key) => (typeof key === 'number' ? key : String(key)))
    const loc = ['body', ...path]
    if (path.length > 0 && valueAt(body, path) === undefined) return { loc, msg: 'Field required', type: 'missing' }
    const expected = issue.code === 'invalid_type' ? EXPECTED[issue.expected] : undefined
    return expected ? { loc, ...expected } : { loc, msg: issue.message, type: 'value_error' }
  })
}

/** A body that is no JSON, likewise. */
export function jsonDetail(cause: unknown): ValidationDetail[] {
  const why = cause instanceof Error ? cause.message : String(cause)
  return [{ loc: ['body', 0], msg: `JSON decode error: ${why}`, type: 'json_invalid' }]
}

/** What went wrong and every field with it, in one line. */
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
  return c.json({ detail: { msg: lineOf(error) } }, status, busy ? { 'retry-after': '5' } : {})
}

/** An error of the runner's inner API: plain text after `what`. */
export function textResponse(c: Context, what: string, thrown: unknown): Response {
  const error = AppError.from(thrown)
  if (error.code === 'unauthorized') return detailResponse(c, error)
  const busy = error.code === 'capacity'
  return c.text(`${what}: ${lineOf(error)}`, busy ? 503 : 400, busy ? { 'retry-after': '5' } : {})
}

function valueAt(value: unknown, path: (string | number)[]): unknown {
  let at = value
  for (const key of path) at = (at as Record<string | number, unknown> | null | undefined)?.[key]
  return at
}
