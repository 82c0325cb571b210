import { AppError, type ErrorCode } from '../../core/errors.ts'
import { withoutPaths } from '../../core/plain-paths.ts'

/** Statuses of refused requests; other codes are 500. */
const STATUS: Partial<Record<ErrorCode, number>> = {
  'invalid-request': 400,
  'invalid-params': 422,
  unauthorized: 401,
  'not-found': 404,
  conflict: 409,
  'unsupported-media': 415,
  capacity: 503,
  timeout: 504,
  'pipeline-failed': 502,
}

/** A complete response; thrown to leave a route early. */
export class Refusal extends Error {
  readonly status: number
  readonly headers: Record<string, string>

  constructor(status: number, text: string, headers: Record<string, string> = {}) {
    super(text)
    this.status = status
    this.headers = headers
  }
}

export function refusalOf(thrown: unknown): Refusal {
  if (thrown instanceof Refusal) return thrown
  const { code, message, issues = [], retryable } = AppError.from(thrown)
  // Plain text has no separate list of invalid places.
  const places = issues.map(({ path, message }) => `\n/${path.join('/')}: ${message}`).join('')
  return new Refusal(STATUS[code] ?? 500, withoutPaths(message + places), retryable ? { 'Retry-After': '5' } : {})
}
