import { createRemoteJWKSet, errors, type JWTPayload, jwtVerify } from 'jose'
import { z } from 'zod'
import { AppError } from '../../core/errors.ts'
import { splitCredentials } from '../../core/secrets.ts'

/** What a token permits. In a pattern `*` matches any characters of a stream's name. */
export type Grants = { publish: readonly string[]; view: readonly string[]; admin: boolean }

export type JwtOptions = {
  /** Shared secret of HS256, HS384 and HS512. */
  secret?: string | undefined
  /** URL of the public keys (RFC 7517), fetched on first use and again for an unknown key. */
  jwksUrl?: string | undefined
}

const patterns = z.array(z.string().max(128)).max(1000).default([])
const Claim = z.object({ publish: patterns, view: patterns, admin: z.boolean().default(false) })

const BY_SECRET = ['HS256', 'HS384', 'HS512']
const BY_KEY = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA']
/** Tolerated clock difference. */
const TOLERANCE_SECONDS = 5

/**
 * Verifies JSON Web Tokens (RFC 7519). Their claim `millrace` is `{ publish: [patterns], view: [patterns], admin }`.
 */
export class JwtVerifier {
  readonly #secret: Uint8Array | undefined
  readonly #keys: ReturnType<typeof createRemoteJWKSet> | undefined

  constructor({ secret, jwksUrl }: JwtOptions) {
    this.#secret = secret === undefined ? undefined : new TextEncoder().encode(secret)
    this.#keys = jwksUrl === undefined ? undefined : remoteKeys(jwksUrl)
  }

  /**
   * @throws AppError `unauthorized` with what is wrong with the token; `peer-failed`, retryable, if the keys cannot be
   * fetched.
   */
  async verify(token: string): Promise<Grants> {
    const payload = await this.#payload(token)
    const claim = Claim.safeParse(payload.millrace)
    if (claim.success) return claim.data
    throw new AppError(
      'unauthorized',
      'the token has no claim "millrace" of the form { "publish": ["pattern"], "view": ["pattern"], "admin": false }',
    )
  }

  async #payload(token: string): Promise<JWTPayload> {
    const options = { clockTolerance: TOLERANCE_SECONDS }
    const attempts = [
      ...(this.#secret ? [jwtVerify(token, this.#secret, { ...options, algorithms: BY_SECRET })] : []),
      ...(this.#keys ? [jwtVerify(token, this.#keys, { ...options, algorithms: BY_KEY })] : []),
    ]
    const results = await Promise.allSettled(attempts)
    const verified = results.find((one) => one.status === 'fulfilled')
    if (verified) return verified.value.payload
    const reasons = results.map((one) => refusal((one as PromiseRejectedResult).reason))
    // The most specific reason: from a key that matched the signature.
    throw reasons.find(({ message }) => !message.includes('not the right one')) ?? reasons[0]
  }
}

function remoteKeys(text: string): ReturnType<typeof createRemoteJWKSet> {
  const { url, headers } = splitCredentials(text)
  return createRemoteJWKSet(new URL(url), { headers })
}

function refusal(cause: unknown): AppError {
  if (cause instanceof errors.JWTExpired) return new AppError('unauthorized', 'the token has expired', { cause })
  if (cause instanceof errors.JWTClaimValidationFailed) {
    return new AppError('unauthorized', `the claim "${cause.claim}" of the token is not accepted`, { cause })
  }
  if (cause instanceof errors.JWKSTimeout || !(cause instanceof errors.JOSEError)) {
    const message = 'the keys that tokens are checked with cannot be fetched (JWKS_URL)'
    return new AppError('peer-failed', message, { cause, retryable: true })
  }
  return new AppError('unauthorized', 'the token is not the right one', { cause })
}

/** Whether one of the patterns matches the whole name. */
export function matchesAny(list: readonly string[], name: string): boolean {
  return list.some((pattern) => matches(pattern, name))
}

/** Takes time proportional to the product of the lengths, whatever the pattern. */
function matches(pattern: string, name: string): boolean {
  const parts = pattern.split('*')
  const [first = '', last = ''] = [parts[0], parts.at(-1)]
  if (parts.length === 1) return pattern === name
  if (name.length < first.length + last.length || !name.startsWith(first) || !name.endsWith(last)) return false
  let at = first.length
  const end = name.length - last.length
  for (const part of parts.slice(1, -1)) {
    const found = name.indexOf(part, at)
    if (found < 0 || found + part.length > end) return false
    at = found + part.length
  }
  return true
}
