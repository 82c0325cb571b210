export const ERROR_CODES = [
  'invalid-request',
  'invalid-params',
  'not-found',
  'conflict',
  'unsupported-media',
  'unauthorized',
  'capacity',
  'timeout',
  'pipeline-failed',
  'ffmpeg-failed',
  'peer-failed',
  'trickle-failed',
  'internal',
] as const
export type ErrorCode = (typeof ERROR_CODES)[number]

/** One thing wrong with an input: where, and what was expected. */
export type Issue = {
  /** Keys from the root of the input, as in a JSON Pointer. */
  path: (string | number)[]
  message: string
}

export type AppErrorOptions = {
  /** True when the same request may succeed later. */
  retryable?: boolean
  /** Facts for a person or a program: what was wrong, what is accepted. Never secrets. */
  details?: Record<string, unknown>
  /** Field by field, for invalid input. */
  issues?: Issue[]
  cause?: unknown
}

export type AppErrorJson = {
  code: ErrorCode
  message: string
  retryable: boolean
  details?: Record<string, unknown>
  issues?: Issue[]
}

/** The one error of the house. `code` says what kind, so that each edge can turn it into its own protocol's answer. */
export class AppError extends Error {
  readonly code: ErrorCode
  readonly retryable: boolean
  readonly details: Record<string, unknown> | undefined
  readonly issues: Issue[] | undefined

  constructor(code: ErrorCode, message: string, options: AppErrorOptions = {}) {
    super(message, { cause: options.cause })
    this.name = 'AppError'
    this.code = code
    this.retryable = options.retryable ?? false
    this.details = options.details
    this.issues = options.issues
  }

  toJSON(): AppErrorJson {
    const { code, message, retryable, details, issues } = this
    return { code, message, retryable, ...(details && { details }), ...(issues && { issues }) }
  }

  static fromJSON(json: AppErrorJson): AppError {
    return new AppError(json.code, json.message, json)
  }

  /** What was thrown, as an AppError: unchanged if it is one, else `internal` with it as the cause. */
  static from(thrown: unknown, code: ErrorCode = 'internal'): AppError {
    if (thrown instanceof AppError) return thrown
    return new AppError(code, thrown instanceof Error ? thrown.message : String(thrown), { cause: thrown })
  }
}
