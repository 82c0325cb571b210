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

/** One problem of an input: where, and what was expected. */
export type Issue = {
  /** Keys from the root of the input, as in a JSON Pointer. */
  path: (string | number)[]
  message: string
}

export type AppErrorOptions = {
  /** Whether the same request may succeed later. */
  retryable?: boolean
  /** Facts for a person or a program: what was wrong, what is accepted. Never secrets. */
  details?: Record<string, unknown>
  /** Problems by field, for invalid input. */
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

/** The error class of all modules. `code` says what kind it is, so that each protocol can map it to its own answer. */
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

  /** Anything thrown as an AppError: unchanged if it is one, else `internal` with it as the cause. */
  static from(thrown: unknown, code: ErrorCode = 'internal'): AppError {
    if (thrown instanceof AppError) return thrown
    return new AppError(code, thrown instanceof Error ? thrown.message : String(thrown), { cause: thrown })
  }
}

/** Certificate errors that a CA in `NODE_EXTRA_CA_CERTS` would solve. */
const UNKNOWN_ISSUER = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
])
const OTHER_FAULTS = new Set(['CERT_HAS_EXPIRED', 'CERT_NOT_YET_VALID', 'ERR_TLS_CERT_ALTNAME_INVALID'])

/** Why a connection to another server failed, and what its operator can do. */
export function whyUnreachable({ code = '', message }: NodeJS.ErrnoException): string {
  if (code === 'ECONNREFUSED') return 'it refuses the connection'
  if (UNKNOWN_ISSUER.has(code)) {
    return `its certificate is not trusted: ${message}; NODE_EXTRA_CA_CERTS names a file with a private CA, and VERIFY_TLS=0 takes any certificate`
  }
  if (OTHER_FAULTS.has(code)) return `its certificate is not accepted: ${message}`
  return message
}
