import { request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { AppError, whyUnreachable } from '../core/errors.ts'
import type { IngestSource } from '../core/media/endpoints.ts'
import { type Context, deadline, Scope } from '../core/resource.ts'
import type { Target } from '../core/url-guard.ts'
import { openTsSource } from './source.ts'

export type HttpTsOptions = {
  /** User and password in the URL are sent as HTTP Basic authentication. */
  target: Target
  /** Sent as a bearer token. */
  token?: string
  /** Time limit until the tracks are known. */
  openTimeoutMs: number
  /** Number of the program to read; default: the first readable one. */
  program?: number
}

/**
 * Reads an endless MPEG-TS from a GET request to another server. Redirects are not followed. Rejects with `peer-failed`
 * and the server's status, and like `openTsSource`.
 */
export async function openHttpTsSource(options: HttpTsOptions, context: Context): Promise<IngestSource> {
  const { target, openTimeoutMs, program } = options
  const scope = new Scope(context.signal)
  const origin = new URL(target.url).origin
  try {
    const body = await deadline(get(options, scope), openTimeoutMs, `the answer of ${origin}`)
    const which = program === undefined ? {} : { program }
    const inner = { signal: scope.signal, log: context.log }
    const source = await openTsSource({ kind: 'mpegts', bytes: body, openTimeoutMs, ...which }, inner)
    void source.closed.then(() => scope.close())
    return source
  } catch (thrown) {
    await scope.close()
    const { code, message, retryable, details } = AppError.from(thrown, 'peer-failed')
    throw new AppError(code, message.includes(origin) ? message : `${origin}: ${message}`, {
      ...{ retryable, cause: thrown },
      ...(details && { details }),
    })
  }
}

async function get({ target, token }: HttpTsOptions, scope: Scope): Promise<IncomingMessage> {
  const url = new URL(target.url)
  const { lookup, rejectUnauthorized } = target
  const request = (url.protocol === 'https:' ? httpsRequest : httpRequest)(url, {
    agent: false,
    headers: { accept: 'video/mp2t, */*;q=0.1', ...(token && { authorization: `Bearer ${token}` }) },
    rejectUnauthorized,
    ...(lookup && { lookup }),
  })
  scope.defer(() => request.destroy())
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  request.once('response', resolve)
  request.on('error', (cause: NodeJS.ErrnoException) => {
    reject(new AppError('peer-failed', `${url.origin}: ${whyUnreachable(cause)}`, { retryable: true, cause }))
  })
  request.end()
  const response = await promise
  const status = response.statusCode ?? 0
  if (status === 200) return response
  const why = status >= 300 && status < 400 ? `a redirect (${status}); redirects are not followed` : `status ${status}`
  throw new AppError('peer-failed', `${url.origin} answers with ${why}`, { retryable: true })
}
