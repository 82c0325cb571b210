import { promises as dns } from 'node:dns'
import { isIP } from 'node:net'
import { z } from 'zod'
import { AppError } from '../../core/errors.ts'
import type { Order, ServerTransport, StartOutcome } from './servers.ts'

/** Limit of one line. A server with a thousand streams needs less. */
const MAX_LINE_BYTES = 4 * 1024 * 1024
const END_MS = 10_000
const Problem = z.object({ code: z.string().default(''), detail: z.string().default('') })

export type HttpServersOptions = {
  /** URLs; a name stands for each of its addresses. */
  servers: readonly string[]
  /** Sent as a bearer token. */
  token: string | undefined
}

/** Servers reached over HTTP. */
export class HttpServers implements ServerTransport {
  readonly #options: HttpServersOptions

  constructor(options: HttpServersOptions) {
    this.#options = options
  }

  async resolve(): Promise<string[]> {
    const found = await Promise.all(this.#options.servers.map((server) => addressesOf(new URL(server))))
    return [...new Set(found.flat())]
  }

  async listen(server: string, hear: (line: unknown) => void, signal: AbortSignal): Promise<void> {
    const response = await fetch(`${server}/placements`, { headers: this.#headers(), redirect: 'manual', signal })
    if (!response.ok || !response.body) {
      const { detail } = await problemOf(response)
      throw new AppError('peer-failed', `${server}/placements answers ${response.status}${detail && `: ${detail}`}`)
    }
    let rest = ''
    for await (const text of response.body.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split('\n')
      rest = lines.pop() ?? ''
      if (rest.length > MAX_LINE_BYTES) throw new AppError('peer-failed', `${server} says more than fits in a line`)
      for (const line of lines) if (line !== '') hear(JSON.parse(line))
    }
  }

  async start(server: string, order: Order, signal: AbortSignal): Promise<StartOutcome> {
    const response = await fetch(`${server}/streams`, {
      method: 'POST',
      headers: { ...this.#headers(), 'content-type': 'application/json' },
      body: JSON.stringify(order),
      redirect: 'manual',
      signal,
    })
    if (response.status === 201) {
      await response.body?.cancel()
      return { kind: 'started' }
    }
    const { status } = response
    const { detail } = await problemOf(response)
    const why = `${status}${detail && `: ${detail}`}`
    if (status === 409) return { kind: 'there' }
    if (status === 503) return { kind: 'full' }
    // Too many requests from one address pass with time, and a missing track may be missing only in LiveKit's store.
    if (status >= 500 || status === 429 || status === 404) return { kind: 'failed', why }
    return { kind: 'rejected', why }
  }

  async end(server: string, stream: string, signal: AbortSignal): Promise<void> {
    const response = await fetch(`${server}/streams/${encodeURIComponent(stream)}`, {
      method: 'DELETE',
      headers: this.#headers(),
      redirect: 'manual',
      signal: AbortSignal.any([signal, AbortSignal.timeout(END_MS)]),
    })
    await response.body?.cancel()
    if (!response.ok && response.status !== 404)
      throw new AppError('peer-failed', `${server} answers DELETE with ${response.status}`)
  }

  #headers(): Record<string, string> {
    const { token } = this.#options
    return token === undefined ? {} : { authorization: `Bearer ${token}` }
  }
}

/** A server is contacted by address; by name only if its certificate requires it. */
async function addressesOf(url: URL): Promise<string[]> {
  const host = url.hostname.replace(/^\[|\]$/g, '')
  if (isIP(host) || url.protocol === 'https:') return [url.origin]
  const port = url.port === '' ? '' : `:${url.port}`
  try {
    const all = await dns.lookup(host, { all: true })
    return all.map(({ address, family }) => `http://${family === 6 ? `[${address}]` : address}${port}`)
  } catch (thrown) {
    // A name without an address has no server: all were scaled away, or none has started.
    if (['ENOTFOUND', 'ENODATA'].includes((thrown as NodeJS.ErrnoException).code ?? '')) return []
    throw thrown
  }
}

async function problemOf(response: Response): Promise<z.infer<typeof Problem>> {
  const body: unknown = await response.json().catch(() => ({}))
  return Problem.safeParse(body).data ?? { code: '', detail: '' }
}
