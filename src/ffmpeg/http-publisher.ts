import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { z } from 'zod'
import { AppError, ERROR_CODES } from '../core/errors.ts'
import { type Closed, type Context, deadline, type Resource, Scope } from '../core/resource.ts'
import type { Ffmpeg } from './binary.ts'
import { openFfmpeg } from './command.ts'

export type HttpPublisherOptions = {
  /** What it sends, for messages. */
  name: string
  ffmpeg: Pick<Ffmpeg, 'path'>
  /** Arguments of ffmpeg, which writes MPEG-TS: everything but the output. */
  args: string[]
  /** URL for the POST, http or https. */
  url: string
  /** Sent with the request, for example for authorization. */
  headers?: Record<string, string>
  /** Settles when the server accepts the publisher; the body waits for it. */
  accepted?(signal: AbortSignal): Promise<void>
}

const Refusal = z.object({
  code: z.enum(ERROR_CODES),
  detail: z.string(),
  errors: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
  details: z.record(z.string(), z.unknown()).optional(),
})

// More waiting data means that the server does not read.
const MAX_BACKLOG_BYTES = 8 * 1024 * 1024
const CLOSE_MS = 2000
const MAX_REPLY_BYTES = 64 * 1024

/**
 * Publishes the output of an ffmpeg until it is closed. This process sends the request, so that no token is on ffmpeg's
 * command line. If the server ends it, it closes with `failed` and the server's answer.
 */
export async function openHttpPublisher(options: HttpPublisherOptions, context: Context): Promise<Resource> {
  const { name, args } = options
  const scope = new Scope(context.signal)
  const request = openRequest(options, scope)
  // If the server refuses while the body is being sent, the connection breaks before the answer is read.
  const accepted = options.accepted?.(scope.signal).catch(() => {})
  await Promise.race([accepted, scope.closed])
  if (scope.reason) return scope
  let tooSlow = () => {}
  const ffmpeg = await openFfmpeg(
    {
      name,
      path: options.ffmpeg.path,
      output: args,
      sink: {
        push(chunk) {
          if (request.destroyed) return
          request.write(new Uint8Array(chunk))
          if (request.writableLength > MAX_BACKLOG_BYTES) tooSlow()
        },
      },
    },
    context,
  ).catch(async (thrown) => {
    await scope.close()
    throw thrown
  })
  if (scope.reason) await ffmpeg.close()
  else scope.use(ffmpeg)
  void ffmpeg.closed.then((closed) => scope.end(closed))
  tooSlow = () => {
    const error = new AppError('timeout', `the server does not take the ${name}`, { retryable: true })
    scope.end({ why: 'failed', error })
  }
  return scope
}

function openRequest({ name, url, headers }: HttpPublisherOptions, scope: Scope): ClientRequest {
  const open = url.startsWith('https:') ? httpsRequest : httpRequest
  // A connection of its own: one that an earlier publisher left may have the end of its body in it, unread.
  const request = open(url, { method: 'POST', agent: false, headers: { 'content-type': 'video/mp2t', ...headers } })
  request.flushHeaders()
  request.on('error', (cause) => {
    const error = new AppError('ffmpeg-failed', `the ${name} lost its server: ${cause.message}`, { cause })
    scope.end({ why: 'failed', error })
  })
  request.once('response', (response) => void readReply(name, response).then((reason) => scope.end(reason)))
  scope.defer(async () => {
    if (request.destroyed) return
    const closed = new Promise<void>((resolve) => request.once('close', resolve))
    request.end()
    await deadline(closed, CLOSE_MS, `ending the ${name}`).catch(() => request.destroy())
  })
  return request
}

async function readReply(name: string, response: IncomingMessage): Promise<Closed> {
  const status = response.statusCode ?? 0
  const text = await readText(response)
  if (status < 400) return { why: 'ended' }
  return { why: 'failed', error: refusalOf(name, status, text) }
}

/** The server's answer, if it is a Millrace server: an RFC 9457 problem with our code and places. */
function refusalOf(name: string, status: number, text: string): AppError {
  const { success, data } = Refusal.safeParse(parsed(text))
  if (!success) return new AppError('ffmpeg-failed', `the server refused the ${name} with status ${status}: ${text}`)
  const { code, detail, errors, details } = data
  const issues = errors?.map(({ path, message }) => ({ path: pointerParts(path), message }))
  return new AppError(code, detail, { ...(issues && { issues }), ...(details && { details }) })
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** RFC 6901 §4. */
function pointerParts(pointer: string): string[] {
  const parts = pointer.split('/').slice(1)
  return parts.map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
}

async function readText(response: IncomingMessage): Promise<string> {
  let text = ''
  try {
    for await (const chunk of response.setEncoding('utf8')) {
      text += chunk
      if (text.length > MAX_REPLY_BYTES) break
    }
  } catch {
    // The status says enough.
  }
  return text.trim()
}
