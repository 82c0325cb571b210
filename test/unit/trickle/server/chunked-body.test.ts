import { once } from 'node:events'
import { Agent, createServer, request, type ServerResponse } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ChunkedBody } from '../../../../src/trickle/server/chunked-body.ts'

/** Response to each request: these chunks, one per turn of the event loop. */
let pieces: Buffer[] = []

async function answer(response: ServerResponse): Promise<void> {
  let drained = Promise.withResolvers<void>()
  const body = new ChunkedBody(response, () => drained.resolve())
  response.writeHead(200, { 'Content-Type': 'application/octet-stream' })
  for (const piece of pieces) {
    drained = Promise.withResolvers()
    if (!body.write(piece)) await drained.promise
    await new Promise(setImmediate)
  }
  response.end()
}

const server = createServer((_, response) => void answer(response))
let port: number
beforeAll(async () => {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  port = (server.address() as AddressInfo).port
})
afterAll(() => {
  server.closeAllConnections()
  server.close()
})

async function get(agent: Agent): Promise<Buffer> {
  const outgoing = request({ port, host: '127.0.0.1', agent }).end()
  const [response] = await once(outgoing, 'response')
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** Sends these bytes, the last request with `Connection: close`, and returns everything received. */
async function raw(sent: string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  socket.write(sent)
  const chunks: Buffer[] = []
  for await (const chunk of socket) chunks.push(chunk)
  return Buffer.concat(chunks).toString('latin1')
}

describe('chunks of a body', () => {
  test('of all lengths arrive unchanged, response after response on one connection', async () => {
    pieces = [1, 15, 16, 255, 4096, 65_535, 65_536, 65_537, 300_000, 2_000_000, 7].map((length, i) =>
      Buffer.alloc(length, 65 + i),
    )
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    for (let turn = 0; turn < 3; turn++) expect((await get(agent)).equals(Buffer.concat(pieces))).toBe(true)
    const [socket] = Object.values(agent.freeSockets)[0]!
    expect(socket).toBeDefined()
    agent.destroy()
  })

  test('leave no listener on a reused connection', async () => {
    pieces = [Buffer.alloc(100), Buffer.alloc(100)]
    const sockets = new Set<import('node:net').Socket>()
    const note = (socket: import('node:net').Socket) => sockets.add(socket)
    server.on('connection', note)
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    await get(agent)
    const [socket] = [...sockets]
    const listeners = socket!.listenerCount('drain')
    for (let turn = 0; turn < 5; turn++) await get(agent)
    expect(sockets.size).toBe(1)
    expect(socket!.listenerCount('drain')).toBe(listeners)
    server.off('connection', note)
    agent.destroy()
  })

  test('are one HTTP chunk each, ended as in RFC 9112', async () => {
    pieces = [Buffer.from('first'), Buffer.from('the second'), Buffer.from('third')]
    const text = await raw('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
    expect(text.slice(text.indexOf('\r\n\r\n'))).toBe(
      '\r\n\r\n5\r\nfirst\r\na\r\nthe second\r\n5\r\nthird\r\n0\r\n\r\n',
    )
  })

  test('have no chunked coding for an HTTP/1.0 client', async () => {
    pieces = [Buffer.from('first'), Buffer.from('second'), Buffer.from('third')]
    const text = await raw('GET / HTTP/1.0\r\n\r\n')
    expect(text.slice(text.indexOf('\r\n\r\n'))).toBe('\r\n\r\nfirstsecondthird')
  })

  test('of pipelined requests stay separate', async () => {
    pieces = [Buffer.from('one '), Buffer.alloc(80_000, 'x'), Buffer.from(' two')]
    const ask = 'GET / HTTP/1.1\r\nHost: x\r\n'
    const text = await raw(`${ask}\r\n${ask}\r\n${ask}Connection: close\r\n\r\n`)
    const chunked = `4\r\none \r\n13880\r\n${'x'.repeat(80_000)}\r\n4\r\n two\r\n0\r\n\r\n`
    const bodies = text.split(/HTTP\/1\.1 200 OK\r\n(?:[^\r]+\r\n)+\r\n/).slice(1)
    expect(bodies.map((body) => body === chunked)).toEqual([true, true, true])
  })
})
