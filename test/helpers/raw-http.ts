import { connect, type Socket } from 'node:net'

/**
 * Sends a request that no library would: the request target is not normalized. Resolves with everything received until
 * the end.
 */
export function rawHttp(
  url: string,
  method: string,
  target: string,
  {
    headers = {},
    body = '',
    host = new URL(url).host,
  }: { headers?: Record<string, string>; body?: string; host?: string } = {},
): Promise<{ status: number; text: string }> {
  const head = {
    host,
    connection: 'close',
    ...(body && { 'content-length': String(Buffer.byteLength(body)) }),
    ...headers,
  }
  const lines = Object.entries(head).map(([name, value]) => `${name}: ${value}`)
  return new Promise((resolve, reject) => {
    const socket = rawSocket(url)
    const chunks: Buffer[] = []
    socket.setTimeout(30_000, () => socket.destroy(new Error(`no answer to ${method} ${target.slice(0, 200)}`)))
    socket.on('data', (chunk) => chunks.push(chunk)).on('error', reject)
    socket.on('end', () => socket.end())
    socket.on('close', () => {
      const text = Buffer.concat(chunks).toString()
      resolve({ status: Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1] ?? 0), text })
    })
    socket.write(`${[`${method} ${target} HTTP/1.1`, ...lines].join('\r\n')}\r\n\r\n${body}`)
  })
}

/** A connection that stays open in our direction when the server has ended its own. */
export function rawSocket(url: string): Socket {
  const { port, hostname } = new URL(url)
  return connect({ port: Number(port), host: hostname, allowHalfOpen: true })
}
