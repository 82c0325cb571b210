import { type IncomingHttpHeaders, request as startRequest } from 'node:http'

export type HttpOptions = {
  /** Objects are sent as JSON, strings and bytes as they are. */
  body?: unknown
  headers?: Record<string, string>
  /** Default 30 s. */
  limitMs?: number
}

export type HttpAnswer = {
  status: number
  headers: IncomingHttpHeaders
  bytes: Buffer
  text: string
}

/** One request on its own connection, so that nothing of it remains after the answer. */
export async function http(method: string, url: string, options: HttpOptions = {}): Promise<HttpAnswer> {
  const { body, headers = {}, limitMs = 30_000 } = options
  const plain = body === undefined || typeof body === 'string' || body instanceof Uint8Array
  const payload = plain ? (body as string | Uint8Array | undefined) : JSON.stringify(body)
  const type: Record<string, string> = plain ? {} : { 'content-type': 'application/json' }
  const length: Record<string, string> =
    payload === undefined ? {} : { 'content-length': String(Buffer.byteLength(payload)) }
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(limitMs)
    const request = startRequest(url, { method, headers: { ...type, ...length, ...headers }, agent: false, signal })
    request.once('error', reject)
    request.once('response', async (response) => {
      try {
        const chunks: Buffer[] = []
        for await (const chunk of response) chunks.push(chunk as Buffer)
        const bytes = Buffer.concat(chunks)
        resolve({ status: response.statusCode ?? 0, headers: response.headers, bytes, text: bytes.toString() })
      } catch (thrown) {
        reject(thrown)
      }
    })
    request.end(payload)
  })
}

/** The same with a JSON answer, whatever its status. */
export async function httpJson<T = Record<string, unknown>>(
  method: string,
  url: string,
  options: HttpOptions = {},
): Promise<{ status: number; headers: IncomingHttpHeaders; json: T }> {
  const { status, headers, text } = await http(method, url, options)
  try {
    return { status, headers, json: JSON.parse(text || 'null') as T }
  } catch {
    throw new Error(`${method} ${url} answered ${status} with something that is not JSON: ${text.slice(0, 200)}`)
  }
}
