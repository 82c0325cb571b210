import { request as httpRequest, type IncomingHttpHeaders, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { AppError, whyUnreachable } from '../../core/errors.ts'
import type { Target } from '../../core/url-guard.ts'

export type ShortRequest = { method: string; headers?: Record<string, string>; body?: string; timeoutMs: number }
/** A complete answer; the body is cut at 256 KiB. */
export type ShortAnswer = { status: number; headers: IncomingHttpHeaders; text: string }

const MAX_ANSWER_BYTES = 256 * 1024

/**
 * Sends one request to another server, at the address that was checked. Redirects are returned, never followed. Rejects
 * with `peer-failed`, which names only the server's origin.
 */
export async function askServer(
  target: Target,
  { method, headers, body, timeoutMs }: ShortRequest,
): Promise<ShortAnswer> {
  const url = new URL(target.url)
  const { lookup, rejectUnauthorized } = target
  const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }
  const request = (url.protocol === 'https:' ? httpsRequest : httpRequest)(url, {
    method,
    agent: false,
    headers: { ...target.headers, ...length, ...headers },
    rejectUnauthorized,
    ...(lookup && { lookup }),
  })
  const timer = setTimeout(() => request.destroy(new Error(`no answer within ${timeoutMs / 1000} s`)), timeoutMs)
  try {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
    request.once('response', resolve)
    request.on('error', reject)
    request.end(body)
    const response = await promise
    return { status: response.statusCode ?? 0, headers: response.headers, text: await textOf(response) }
  } catch (thrown) {
    const cause = thrown as NodeJS.ErrnoException
    throw new AppError('peer-failed', `${url.origin}: ${whyUnreachable(cause)}`, { retryable: true, cause })
  } finally {
    clearTimeout(timer)
    request.destroy()
  }
}

async function textOf(response: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of response.setEncoding('utf8')) {
    text += chunk
    if (text.length > MAX_ANSWER_BYTES) break
  }
  return text
}
