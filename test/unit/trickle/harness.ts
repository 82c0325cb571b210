import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, request } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'
import type { Log } from '../../../src/core/log.ts'
import type { TrickleServerOptions } from '../../../src/trickle/server/options.ts'
import { HTTP_SERVER_OPTIONS, openTrickle } from '../../../src/trickle/server/server.ts'

export const silent: Log = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => silent,
}

/** A trickle server on a free port, closed after the test. */
export async function serve(options: TrickleServerOptions = { autocreate: true }) {
  const trickle = openTrickle(options, { log: silent })
  const http = createServer(HTTP_SERVER_OPTIONS, (incoming, outgoing) =>
    trickle.handle(incoming, outgoing, new URL(incoming.url ?? '/', 'http://x').pathname),
  )
  http.listen(0, '127.0.0.1')
  await once(http, 'listening')
  const { port } = http.address() as AddressInfo
  onTestFinished(async () => {
    await trickle.close()
    http.closeAllConnections()
    http.close()
  })
  return { trickle, http, port, url: `http://127.0.0.1:${port}` }
}

export type Reply = { status: number; headers: IncomingHttpHeaders; body: Buffer; text: string }

/** Sends one request on its own connection, and reads the whole response. */
export function call(
  port: number,
  method: string,
  path: string,
  options: { body?: string | Uint8Array; headers?: Record<string, string> } = {},
): Promise<Reply> {
  const { promise, resolve, reject } = Promise.withResolvers<Reply>()
  const outgoing = request({ port, host: '127.0.0.1', method, path, agent: false, headers: options.headers ?? {} })
  outgoing.on('error', reject)
  outgoing.on('response', (response) => {
    const chunks: Buffer[] = []
    response.on('data', (chunk: Buffer) => chunks.push(chunk))
    response.on('error', reject)
    response.on('end', () => {
      const body = Buffer.concat(chunks)
      resolve({ status: response.statusCode ?? 0, headers: response.headers, body, text: body.toString() })
    })
  })
  outgoing.end(options.body)
  return promise
}

export const post = (
  port: number,
  path: string,
  body: string | Uint8Array = '',
  headers: Record<string, string> = {},
) => call(port, 'POST', path, { body, headers })
export const get = (port: number, path: string) => call(port, 'GET', path)
export const del = (port: number, path: string) => call(port, 'DELETE', path)

/** A raw connection that records every received byte. */
export class Wire {
  text = ''
  ended = false
  readonly socket: Socket

  constructor(port: number) {
    this.socket = connect(port, '127.0.0.1')
    this.socket.setNoDelay(true)
    this.socket.on('data', (chunk: Buffer) => {
      this.text += chunk.toString('latin1')
    })
    this.socket.on('error', () => {})
    this.socket.on('close', () => {
      this.ended = true
    })
    onTestFinished(() => void this.socket.destroy())
  }

  send(text: string): this {
    this.socket.write(text, 'latin1')
    return this
  }

  get(path: string): this {
    return this.send(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`)
  }

  /** Starts a chunked POST. */
  post(path: string, headers: Record<string, string> = {}): this {
    const lines = Object.entries({ Host: 'x', 'Transfer-Encoding': 'chunked', ...headers })
    return this.send(`POST ${path} HTTP/1.1\r\n${lines.map(([k, v]) => `${k}: ${v}\r\n`).join('')}\r\n`)
  }

  chunk(text: string): this {
    return this.send(`${text.length.toString(16)}\r\n${text}\r\n`)
  }

  end(): this {
    return this.send('0\r\n\r\n')
  }

  until(part: string): Promise<void> {
    return until(() => this.text.includes(part), `${JSON.stringify(part)} on the wire`)
  }

  closed(): Promise<void> {
    return until(() => this.ended, 'the connection to close')
  }
}

/** Waits for a condition. */
export async function until(condition: () => boolean, what = 'the condition', ms = 10_000): Promise<void> {
  const end = performance.now() + ms
  while (!condition()) {
    if (performance.now() > end) throw new Error(`waited ${ms} ms for ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

export const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))
