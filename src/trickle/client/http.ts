import { once } from 'node:events'
import * as http from 'node:http'
import * as https from 'node:https'
import type { LookupFunction } from 'node:net'
import { AppError } from '../../core/errors.ts'

export type TrickleClientOptions = {
  /** Address of the channel, as in `https://host:8935/ai/trickle/name`; http or https. */
  url: string | URL
  /** What the channel is to whoever opens it, as in `the output channel`; for messages. */
  role?: string
  /** Sent with every request, as in `{ authorization: 'Bearer …' }`. */
  headers?: Record<string, string>
  /** False accepts any certificate; orchestrators sign theirs themselves. */
  rejectUnauthorized?: boolean
  /** Resolves host names instead of the system's resolver. A literal address in the URL does not pass by here. */
  lookup?: LookupFunction
  /** Makes the connections, instead of a pool of this client's own; it stays its owner's. */
  agent?: http.Agent
}

/** A whole, short answer. */
export type Answer = { status: number; headers: http.IncomingHttpHeaders; text: string }

const MAX_ANSWER_BYTES = 16 * 1024

/**
 * Requests to one channel elsewhere. Made by `http.request`, since `fetch` breaks on the `100 Continue` that trickle
 * servers send unasked. Redirects are answers like any other and never followed.
 */
export class TrickleClient {
  /** Role and origin, for messages: they reach whoever watches, and a channel's path is what lets one write to it. */
  readonly name: string
  readonly #url: URL
  readonly #options: TrickleClientOptions
  readonly #agent: http.Agent
  readonly #own: boolean

  /** @throws AppError `invalid-request` when the URL is none of http or https. */
  constructor(options: TrickleClientOptions) {
    const url = URL.parse(String(options.url))
    if (!url || !/^https?:$/.test(url.protocol)) {
      throw new AppError('invalid-request', 'a trickle URL begins with http:// or https://')
    }
    this.#url = url
    this.#options = options
    this.name = options.role ? `${options.role} at ${url.origin}` : url.origin
    this.#own = options.agent === undefined
    this.#agent = options.agent ?? new (this.secure ? https.Agent : http.Agent)({ keepAlive: true })
  }

  /** Its sender ends it. `suffix` follows the channel's address, as in `/7`. */
  request(method: string, suffix: string, headers: Record<string, string> = {}): http.ClientRequest {
    const url = new URL(this.#url)
    url.pathname = url.pathname.replace(/\/$/, '') + suffix
    const { lookup, rejectUnauthorized } = this.#options
    return (this.secure ? https : http).request(url, {
      method,
      agent: this.#agent,
      headers: { ...this.#options.headers, ...headers },
      ...(lookup && { lookup }),
      ...(rejectUnauthorized !== undefined && { rejectUnauthorized }),
    })
  }

  /** One request, answered within `timeoutMs`; all but GET have a body. Fails with `trickle-failed`. */
  async call(
    method: string,
    suffix: string,
    headers: Record<string, string>,
    timeoutMs: number,
    body = '',
  ): Promise<Answer> {
    const outgoing = this.request(method, suffix, {
      ...headers,
      ...(method === 'GET' ? {} : { 'content-length': String(Buffer.byteLength(body)) }),
    })
    // `once` listens until the answer begins; what stalls or resets after that is told by the answer's body, and here.
    outgoing.on('error', () => {})
    const timer = setTimeout(() => outgoing.destroy(new Error(`no answer in ${timeoutMs} ms`)), timeoutMs)
    try {
      outgoing.end(body)
      const [response] = (await once(outgoing, 'response')) as [http.IncomingMessage]
      return { status: response.statusCode ?? 0, headers: response.headers, text: await readText(response) }
    } catch (thrown) {
      throw this.failure(thrown)
    } finally {
      clearTimeout(timer)
    }
  }

  failure(thrown: unknown): AppError {
    if (thrown instanceof AppError) return thrown
    const reason = thrown instanceof Error ? ((thrown as NodeJS.ErrnoException).code ?? thrown.message) : String(thrown)
    return new AppError('trickle-failed', `${this.name}: ${reason}`, { retryable: true, cause: thrown })
  }

  refusal(answer: Answer): AppError {
    if (answer.status === 404) return new AppError('not-found', `${this.name}: there is no such channel`)
    const why = answer.status >= 300 && answer.status < 400 ? 'redirects are not followed' : answer.text.slice(0, 200)
    return new AppError('trickle-failed', `${this.name}: status ${answer.status}: ${why}`)
  }

  destroy(): void {
    if (this.#own) this.#agent.destroy()
  }

  /** TLS. */
  get secure(): boolean {
    return this.#url.protocol === 'https:'
  }
}

/** The text of an answer, cut where it gets long. */
export async function readText(response: http.IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of response) {
    text += String(chunk)
    if (text.length > MAX_ANSWER_BYTES) break
  }
  return text
}

/** A header's number; `undefined` when it is absent or none. */
export function numberHeader(headers: http.IncomingHttpHeaders, name: string): number | undefined {
  const value = headers[name.toLowerCase()]
  return typeof value === 'string' && /^-?\d+$/.test(value) ? Number(value) : undefined
}
