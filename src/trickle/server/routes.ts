import type { IncomingMessage, ServerResponse } from 'node:http'
import * as header from '../headers.ts'
import type { Channel } from './channel.ts'
import { answerEarly } from './early-answer.ts'
import type { ServedChannels } from './options.ts'
import { Refusal, refusalOf } from './refusal.ts'
import { sendSegment } from './segment-get.ts'
import { receiveSegment } from './segment-post.ts'

const METHODS = ['GET', 'POST', 'DELETE']
const MAX_NAME_BYTES = 512
/** One segment per millisecond reaches 2^27 in a day; numbers are exact up to 2^53. */
const MAX_INDEX = 2 ** 48
const TCP_KEEPALIVE_MS = 30_000

/** Trickle over HTTP, contract §1.2: `/{name}`, `/{name}/{idx}`, `/{name}/next`. */
export function answer(server: ServedChannels, request: IncomingMessage, response: ServerResponse, path: string): void {
  request.socket.setNoDelay(true)
  // Readers and publishers wait for long, so dead connections must be detected.
  request.socket.setKeepAlive(true, TCP_KEEPALIVE_MS)
  route(server, request, response, path).catch((thrown: unknown) => refuse(server, request, response, thrown))
}

async function route(
  server: ServedChannels,
  request: IncomingMessage,
  response: ServerResponse,
  path: string,
): Promise<void> {
  const method = request.method ?? ''
  const [name, index, ...more] = segmentsOf(path)
  if (name === undefined || more.length > 0) throw new Refusal(404, 'Not found')
  const allowed = index === undefined ? ['POST', 'DELETE'] : index === 'next' ? ['GET'] : METHODS
  if (!allowed.includes(method)) throw new Refusal(405, 'Method not allowed', { Allow: allowed.join(', ') })
  if (method !== 'GET' && server.writesAlone(name)) {
    throw new Refusal(403, `${name} is written by the server only`)
  }
  if (index === undefined) {
    if (method === 'POST') await admit(await create(server, request, name, request.headers['expect-content']))
    else await remove(server, request, name)
    respond(response, 200)
    return
  }
  if (method === 'POST') return post(server, request, response, name, index)
  const channel = server.get(name)
  if (!channel) throw new Refusal(404, 'Stream not found')
  if (index === 'next') return tellHead(channel, response)
  if (method === 'DELETE') return cut(channel, response, index)
  const lowest = channel.options.replay ? -Number.MAX_SAFE_INTEGER : -2
  sendSegment(server, channel, parseIndex(index, lowest), response)
}

async function create(
  server: ServedChannels,
  request: IncomingMessage,
  name: string,
  mime: string | string[] | undefined,
): Promise<Channel> {
  const type = String(mime ?? '')
  const existing = server.get(name)
  if (existing) return existing
  await server.options.beforeCreate?.(request, name, type)
  // Another request may have been faster.
  const meanwhile = server.get(name)
  if (meanwhile) return meanwhile
  const channel = server.add(name, type)
  channel.admission = server.options.onChannel?.(channel, request)
  return channel
}

/** A client that creates a channel without a segment learns here whether it is admitted. */
async function admit(channel: Channel): Promise<void> {
  await channel.admission
  if (channel.refusal) throw channel.refusal
}

async function remove(server: ServedChannels, request: IncomingMessage, name: string): Promise<void> {
  await server.options.beforeDelete?.(request, name)
  const channel = server.get(name)
  if (!channel) throw new Refusal(400, 'Invalid stream')
  channel.close()
}

async function post(
  server: ServedChannels,
  request: IncomingMessage,
  response: ServerResponse,
  name: string,
  index: string,
): Promise<void> {
  const existing = server.get(name)
  // A preconnected publisher of the original wakes only when its connection closes.
  if (!existing && !server.options.autocreate) throw new Refusal(404, 'Stream not found', { Connection: 'close' })
  const seq = parseIndex(index, -1)
  const channel = existing ?? (await create(server, request, name, request.headers['content-type']))
  const writer = channel.open(seq, Boolean(request.headers['lp-trickle-reset']))
  receiveSegment(channel, writer, request, response, server.options.keepaliveMs)
}

function tellHead(channel: Channel, response: ServerResponse): void {
  const head = String(channel.head)
  respond(response, 200, head, { [header.LATEST]: head })
}

function cut(channel: Channel, response: ServerResponse, index: string): void {
  if (!channel.cut(parseIndex(index, 0))) throw new Refusal(400, 'Nonexistent segment')
  respond(response, 200)
}

/** Like Go's `strconv.Atoi`: decimal, with an optional sign. Beyond `MAX_INDEX` no segment could follow. */
function parseIndex(text: string, lowest: number): number {
  const index = /^[+-]?\d+$/.test(text) ? Number(text) : Number.NaN
  if (!(index >= lowest && index <= MAX_INDEX)) throw new Refusal(400, 'Invalid idx')
  return index
}

function segmentsOf(path: string): string[] {
  try {
    const parts = path.split('/').filter(Boolean).map(decodeURIComponent)
    if (parts.every((part) => Buffer.byteLength(part) <= MAX_NAME_BYTES)) return parts
  } catch {
    // A percent sign without its two digits: refused below.
  }
  throw new Refusal(400, 'Invalid stream')
}

function refuse(server: ServedChannels, request: IncomingMessage, response: ServerResponse, thrown: unknown): void {
  if (response.headersSent) {
    response.destroy()
    return
  }
  const refusal = refusalOf(thrown)
  if (refusal.status === 500) server.context.log.error({ err: thrown }, 'trickle request failed')
  const { status, message, headers } = refusal
  const { 'transfer-encoding': chunked, 'content-length': length = '0' } = request.headers
  if (chunked === undefined && length === '0') {
    respond(response, status, message, headers)
    return
  }
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
  // A publisher that waits for its first byte notices the refusal only when its connection closes.
  answerEarly(request, response, status, message)
}

function respond(response: ServerResponse, status: number, text = '', headers: Record<string, string> = {}): void {
  const body = Buffer.from(text)
  response.setHeader('Content-Type', 'text/plain; charset=utf-8')
  response.writeHead(status, { 'Content-Length': body.length, ...headers })
  response.end(body)
}
