// Bound: 16 KiB of an answer are kept at most, each byte copied once.
import { once } from 'node:events'
import * as http from 'node:http'
import * as https from 'node:https'
import type { LookupFunction } from 'node:net'
import { AppError } from '../../core/errors.ts'
import { basicAuthorization, decoded } from '../../core/secrets.ts'

export type TrickleClientOptions = {
  /** URL of the channel, such as `https://host:8935/ai/trickle/name`; http or https. */
  url: string | URL
  /** The channel's role, such as `the output channel`, for messages. */
  role?: string
  /** Sent with every request, such as `{ authorization: 'Bearer …' }`. */
  headers?: Record<string, string>
  /** False accepts any certificate; orchestrators have self-signed ones. */
  rejectUnauthorized?: boolean
  /** Replaces the system's resolver. Not called for a literal address in the URL. */
  lookup?: LookupFunction
  /** Makes the connections, instead of this client's own pool; it is not closed here. */
  agent?: http.Agent
}

/** A complete, short response. */
export type Answer = { status: number; headers: http.IncomingHttpHeaders; text: string }

const MAX_ANSWER_BYTES = 16 * 1024

/**
 * Requests to one channel of another server. Uses `http.request`, because `fetch` breaks on the unsolicited `100
 * Continue` of trickle servers. Redirects are returned, never followed.
 */
export class TrickleClient {
  /** Role and origin, for messages: viewers may see them, and a channel's path permits writing to it. */
  readonly name: string
  readonly #url: URL
  readonly #options: TrickleClientOptions
  readonly #agent: http.Agent
  readonly #own: boolean

  /** @throws AppError `invalid-request` for a URL that is neither http nor https. */
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

  /** The caller ends it. `suffix` follows the channel's URL, such as `/7`. */
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

  /** One request with an answer within `timeoutMs`; all but GET have a body. Rejects with `trickle-failed`. */
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
    // `once` listens until the response begins; later errors show in its body, and here.
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
    const redirect = answer.status >= 300 && answer.status < 400
    const why = redirect ? 'redirects are not followed' : this.#withoutSecrets(answer.text).slice(0, 200)
    return new AppError('trickle-failed', `${this.name}: status ${answer.status}: ${why}`)
  }

  /** Servers quote the channel's name and headers in their answers, which viewers may see. */
  #withoutSecrets(text: string): string {
    const { pathname, search, searchParams, username, password } = this.#url
    const values = search.split('&').map((pair) => pair.slice(pair.indexOf('=') + 1))
    const quoted = [...pathname.split('/').slice(1), ...values, username, password]
    const headers = [basicAuthorization(this.#url), ...Object.values(this.#options.headers ?? {})]
    const credentials = headers.flatMap((header) => header?.split(' ').at(-1) ?? [])
    const parts = [...quoted, ...quoted.map(decoded), ...searchParams.values(), ...credentials]
    // A shorter one is in every other word.
    const secrets = parts.filter((part) => part.length > 3 && part !== 'trickle').sort((a, b) => b.length - a.length)
    return secrets.reduce((plain, secret) => plain.replaceAll(secret, '…'), text)
  }

  destroy(): void {
    if (this.#own) this.#agent.destroy()
  }

  /** Whether it uses TLS. */
  get secure(): boolean {
    return this.#url.protocol === 'https:'
  }
}

/** The text of a response, truncated if long. */
export async function readText(response: http.IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of response) {
    text += String(chunk)
    if (text.length > MAX_ANSWER_BYTES) break
  }
  return text
}

/** A header's number; `undefined` if it is absent or not a number. */
export function numberHeader(headers: http.IncomingHttpHeaders, name: string): number | undefined {
  const value = headers[name.toLowerCase()]
  return typeof value === 'string' && /^-?\d+$/.test(value) ? Number(value) : undefined
}
