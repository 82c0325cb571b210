import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import type { AppError } from '../../../src/core/errors.ts'
import { UrlGuard } from '../../../src/core/url-guard.ts'
import { OrchestratorClient } from '../../../src/livepeer/orchestrator/client.ts'
import { TrickleClient } from '../../../src/trickle/client/http.ts'
import { openTricklePublisher } from '../../../src/trickle/client/publisher.ts'
import { openTrickleSubscriber } from '../../../src/trickle/client/subscriber.ts'
import type { Subscription } from '../../../src/trickle/subscription.ts'
import { get, pause, post, serve, silent, until } from './harness.ts'

const context = { log: silent }
const options = { mime: 'video/MP2T' }

async function collect(subscription: Subscription, count = Number.POSITIVE_INFINITY): Promise<[number, string][]> {
  const got: [number, string][] = []
  for await (const { seq, bytes } of subscription) {
    let text = ''
    for await (const chunk of bytes) text += Buffer.from(chunk).toString()
    got.push([seq, text])
    if (got.length >= count) break
  }
  return got
}

/** A server scripted by the test, for client behaviour on foreign servers. */
async function stub(listener: RequestListener): Promise<string> {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/one`
}

test.each(['resets', 'stalls'])('a server that %s in the middle of a response fails that call only', async (what) => {
  const url = await stub((_, response) => {
    response.writeHead(500, { 'content-length': '100' })
    response.write('half')
    if (what === 'resets') setTimeout(() => response.socket?.resetAndDestroy(), 20)
  })
  const client = new TrickleClient({ url })
  // An error that escapes the call ends the test run as an uncaught exception.
  await expect(client.call('POST', '', {}, 300)).rejects.toMatchObject({ code: 'trickle-failed' })
  const target = await new UrlGuard({ allowed: [new URL(url).origin], verifyTls: true }).check(url, 'url')
  if (what === 'resets') {
    const orchestrator = new OrchestratorClient(target)
    await expect(orchestrator.send('POST', '', {})).rejects.toMatchObject({ code: 'trickle-failed' })
    orchestrator.close()
  }
  client.destroy()
})

test('publisher and subscriber carry a stream byte for byte, and end in order', async () => {
  const { url, trickle } = await serve()
  const publisher = await openTricklePublisher({ ...options, url: `${url}/one`, create: true }, context)
  const subscriber = await openTrickleSubscriber({ url: `${url}/one` }, context)
  const reading = collect(subscriber)
  await until(() => trickle.readers > 0)
  const sent: [number, string][] = []
  for (let seq = 0; seq < 30; seq++) {
    const writer = publisher.open()
    let text = ''
    for (let i = 0; i < 5; i++) {
      const part = String(seq).repeat(1 + i * 1000)
      writer.write(Buffer.from(part))
      text += part
    }
    writer.close()
    expect(await writer.stored).toBe(true)
    sent.push([seq, text])
  }
  await until(() => trickle.stats().bytesOut === trickle.stats().bytesIn)
  expect((await publisher.close()).why).toBe('stopped')
  expect(await reading).toEqual(sent)
  expect((await subscriber.closed).why).toBe('ended')
  expect(subscriber.missed).toBe(0)
  expect(publisher.stats()).toMatchObject({ segments: 30, dropped: 0 })
  expect(trickle.get('one')).toBeUndefined()
})

test('a publisher starts at the head with a Reset, and does not delete a channel it did not create', async () => {
  const { url, port, trickle } = await serve()
  await post(port, '/one/0', 'old')
  const publisher = await openTricklePublisher({ ...options, url: `${url}/one`, deleteOnClose: false }, context)
  const writer = publisher.open()
  writer.write(Buffer.from('new'))
  writer.close()
  expect([writer.seq, await writer.stored]).toEqual([1, true])
  await publisher.close()
  expect(trickle.get('one')?.head).toBe(2)
  expect((await get(port, '/one/1')).text).toBe('new')
})

test('an open writer is finished when its publisher closes', async () => {
  const { url, port } = await serve()
  const publisher = await openTricklePublisher({ ...options, url: `${url}/one`, deleteOnClose: false }, context)
  publisher.open().write(Buffer.from('tail'))
  await publisher.close()
  expect((await get(port, '/one/0')).text).toBe('tail')
})

test('the next segment is connected before it starts', async () => {
  const { url, trickle } = await serve()
  const publisher = await openTricklePublisher({ ...options, url: `${url}/one` }, context)
  const writer = publisher.open()
  writer.write(Buffer.from('a'))
  await until(() => trickle.get('one')?.head === 1)
  await until(() => trickle.get('one')?.locate(1).segment?.writers === 1)
  await publisher.close()
})

test('opening fails where nobody listens, at a redirect, and for a bad URL', async () => {
  const refused = openTricklePublisher({ ...options, url: 'http://127.0.0.1:1/x' }, context)
  await expect(refused).rejects.toMatchObject({ code: 'trickle-failed', message: 'http://127.0.0.1:1: ECONNREFUSED' })
  await expect(openTrickleSubscriber({ url: 'http://127.0.0.1:1/x' }, context)).rejects.toMatchObject({
    code: 'trickle-failed',
  })
  const elsewhere = await stub((_, response) => response.writeHead(307, { Location: 'http://127.0.0.1:1/' }).end())
  for (const open of [openTricklePublisher, openTrickleSubscriber]) {
    await expect(open({ ...options, url: elsewhere }, context)).rejects.toThrow('redirects are not followed')
    await expect(open({ ...options, url: 'ftp://host/x' }, context)).rejects.toMatchObject({ code: 'invalid-request' })
  }
})

test('a subscriber of a missing channel is refused', async () => {
  const { url } = await serve()
  await expect(openTrickleSubscriber({ url: `${url}/one` }, context)).rejects.toMatchObject({ code: 'not-found' })
})

test('a publisher to a missing channel without autocreate fails with not-found', async () => {
  const { url } = await serve({})
  const publisher = await openTricklePublisher({ ...options, url: `${url}/one` }, context)
  const { why, error } = await publisher.closed
  expect([why, error?.code]).toEqual(['failed', 'not-found'])
  expect(publisher.open().write(Buffer.from('x'))).toBe(false)
})

test('a publisher ends when its channel is closed by another client', async () => {
  const { url, trickle } = await serve()
  const publisher = await openTricklePublisher({ ...options, url: `${url}/one` }, context)
  await until(() => trickle.get('one') !== undefined)
  trickle.get('one')?.close()
  expect((await publisher.closed).why).toBe('ended')
})

test('names are resolved by the given lookup', async () => {
  const { url } = await serve()
  const asked: string[] = []
  const lookup = (host: string, _: object, done: (err: Error | null, address: string, family: number) => void) => {
    asked.push(host)
    done(Object.assign(new Error('not allowed'), { code: 'EREFUSED' }), '', 4)
  }
  const named = url.replace('127.0.0.1', 'trickle.example')
  await expect(openTrickleSubscriber({ url: `${named}/one`, lookup }, context)).rejects.toThrow('EREFUSED')
  expect(asked).toEqual(['trickle.example'])
})

test('headers are sent with every request', async () => {
  const seen = new Set<string>()
  const { url } = await serve({
    autocreate: true,
    beforeCreate: (request) => void seen.add(String(request.headers.authorization)),
    beforeDelete: (request) => void seen.add(String(request.headers.authorization)),
  })
  const headers = { authorization: 'Bearer x' }
  const publisher = await openTricklePublisher({ ...options, url: `${url}/one`, create: true, headers }, context)
  await publisher.close()
  expect([...seen]).toEqual(['Bearer x'])
})

test('a connection refused before any byte is retried without loss', async () => {
  let refusals = 1
  const received: string[] = []
  const url = await stub((request, response) => {
    if (request.method === 'GET') return void response.end('0')
    if (request.method === 'POST' && refusals-- > 0) return void request.socket.destroy()
    request.on('data', (chunk) => received.push(`${request.url}:${chunk}`))
    request.on('end', () => response.end())
  })
  const publisher = await openTricklePublisher({ ...options, url, maxFailures: 10 }, context)
  const writer = publisher.open()
  // Delayed until there is a connection: a byte sent into a broken one could not be sent again.
  await pause(20)
  writer.write(Buffer.from('kept'))
  writer.close()
  expect(await writer.stored).toBe(true)
  expect(received).toEqual(['/one/0:kept'])
  await publisher.close()
})

test('a segment that breaks off after its first byte is lost and counted, and the next one continues', async () => {
  const received: string[] = []
  const url = await stub((request, response) => {
    if (request.method === 'GET') return void response.end('0')
    request.on('data', (chunk) => {
      received.push(`${request.url}:${chunk}`)
      if (request.url === '/one/0') request.socket.destroy()
    })
    request.on('end', () => response.end())
  })
  const publisher = await openTricklePublisher({ ...options, url }, context)
  const first = publisher.open()
  first.write(Buffer.from('a'))
  expect(await first.stored).toBe(false)
  const second = publisher.open()
  second.write(Buffer.from('b'))
  second.close()
  expect(await second.stored).toBe(true)
  expect(received).toEqual(['/one/0:a', '/one/1:b'])
  expect(publisher.stats()).toMatchObject({ segments: 1, dropped: 1 })
  await publisher.close()
})

test('a server that accepts nothing blocks nobody: excess data is dropped, counted and deleted', async () => {
  const deleted: string[] = []
  const url = await stub((request, response) => {
    if (request.method === 'GET') return void response.end('0')
    if (request.method === 'DELETE') {
      deleted.push(String(request.url))
      response.end()
    }
    // The body of a POST is never read.
  })
  const publisher = await openTricklePublisher({ ...options, url, maxQueueBytes: 1_000_000 }, context)
  const writer = publisher.open()
  const chunk = Buffer.alloc(100_000)
  let written = 0
  const began = performance.now()
  while (writer.write(chunk) && written < 200) {
    written++
    await pause(1)
  }
  expect(written).toBeLessThan(200)
  expect(performance.now() - began).toBeLessThan(5000)
  expect(await writer.stored).toBe(false)
  await until(() => deleted.includes('/one/0'))
  expect(publisher.stats().dropped).toBe(1)
  await publisher.close()
})

test('segments above the limit in flight are dropped whole', async () => {
  const url = await stub((request, response) => {
    if (request.method === 'GET') response.end('0')
    else request.resume()
  })
  const publisher = await openTricklePublisher({ ...options, url, maxInFlight: 2, answerTimeoutMs: 200 }, context)
  for (let i = 0; i < 4; i++) {
    const writer = publisher.open()
    writer.write(Buffer.from('x'))
    writer.close()
  }
  expect(publisher.stats().dropped).toBe(2)
  // The server never responds, so the two in flight are given up as well.
  await until(() => publisher.stats().dropped === 4)
  await publisher.close()
})

test('consecutive failures end the publisher', async () => {
  const url = await stub((request, response) => {
    if (request.method === 'GET') response.end('0')
    else if (request.method === 'POST') response.writeHead(500).end('no')
    else response.end()
  })
  const publisher = await openTricklePublisher({ ...options, url, maxFailures: 2 }, context)
  for (let i = 0; i < 5; i++) {
    const writer = publisher.open()
    writer.write(Buffer.from('x'))
    await writer.stored
  }
  const { why, error } = await publisher.closed
  expect([why, error?.code]).toEqual(['failed', 'trickle-failed'])
})

test('a subscriber that fell behind continues at Latest and counts the gap', async () => {
  const { url, port } = await serve({ autocreate: true, channel: { ringSegments: 3 } })
  for (let seq = 0; seq < 8; seq++) await post(port, `/one/${seq}`, String(seq))
  const subscriber = await openTrickleSubscriber({ url: `${url}/one`, start: 2 }, context)
  const reading = collect(subscriber, 1)
  await pause(50)
  await post(port, '/one/8', 'eight')
  expect(await reading).toEqual([[8, 'eight']])
  expect(subscriber.missed).toBe(6)
})

test('a subscriber ahead of the head asks again a little later', async () => {
  const { url, port } = await serve()
  await post(port, '/one')
  const subscriber = await openTrickleSubscriber({ url: `${url}/one`, start: 3 }, context)
  const reading = collect(subscriber, 1)
  for (let seq = 0; seq < 4; seq++) {
    await pause(100)
    await post(port, `/one/${seq}`, String(seq))
  }
  expect(await reading).toEqual([[3, '3']])
  expect(subscriber.missed).toBe(0)
})

test('a request without a response is repeated', async () => {
  let asked = 0
  const url = await stub((request, response) => {
    if (request.url === '/one/next') return void response.end('0')
    if (++asked < 3) return
    response.writeHead(200, { 'Lp-Trickle-Seq': '0' }).end('at last')
  })
  const subscriber = await openTrickleSubscriber({ url, rereadMs: 50 }, context)
  expect(await collect(subscriber, 1)).toEqual([[0, 'at last']])
})

test('a body that breaks off is requested again and continues with its next byte', async () => {
  const whole = Array.from({ length: 2000 }, (_, i) => String(i)).join(' ')
  let asked = 0
  const url = await stub((request, response) => {
    if (request.url === '/one/next') return void response.end('5')
    if (request.url !== '/one/0') return
    response.writeHead(200, { 'Lp-Trickle-Seq': '0' })
    asked++
    if (asked === 3) return void response.end(whole)
    response.write(whole.slice(0, asked * 3000))
    setTimeout(() => response.destroy(), 20)
  })
  const subscriber = await openTrickleSubscriber({ url, start: 0 }, context)
  expect(await collect(subscriber, 1)).toEqual([[0, whole]])
  expect(asked).toBe(3)
})

test('a stalled body is requested again', async () => {
  let asked = 0
  const url = await stub((request, response) => {
    if (request.url === '/one/next') return void response.end('5')
    if (request.url !== '/one/0') return
    response.writeHead(200, { 'Lp-Trickle-Seq': '0' })
    response.write('first')
    if (++asked === 2) response.end(' second')
  })
  const subscriber = await openTrickleSubscriber({ url, start: 0, bodyIdleMs: 60 }, context)
  expect(await collect(subscriber, 1)).toEqual([[0, 'first second']])
  expect(asked).toBe(2)
})

test('a response that breaks off before it is read does no harm', async () => {
  const url = await stub((request, response) => {
    if (request.url === '/one/next') return void response.end('5')
    response.writeHead(200, { 'Lp-Trickle-Seq': String(request.url?.at(-1)) })
    if (request.url === '/one/0') return void response.end('zero')
    response.write('one')
    setTimeout(() => response.destroy(), 20)
  })
  const subscriber = await openTrickleSubscriber({ url, start: 0 }, context)
  for await (const { seq, bytes } of subscriber) {
    if (seq > 0) break
    for await (const chunk of bytes) expect(Buffer.from(chunk).toString()).toBe('zero')
    await pause(100)
  }
  expect((await subscriber.closed).why).toBe('stopped')
})

test('a server that stays unreachable ends the subscription after some attempts', async () => {
  const url = await stub((request, response) => {
    if (request.url === '/one/next') response.end('0')
    else request.socket.destroy()
  })
  const subscriber = await openTrickleSubscriber({ url, maxFailures: 2 }, context)
  await expect(collect(subscriber)).rejects.toMatchObject({ code: 'trickle-failed' } satisfies Partial<AppError>)
  expect((await subscriber.closed).why).toBe('failed')
})

test.each([
  ['Closed', 200, { 'Lp-Trickle-Closed': 'true' }],
  ['404', 404, {}],
])('a subscription ends at %s', async (_, status, headers) => {
  const url = await stub((request, response) => {
    if (request.url === '/one/next') response.end('0')
    else response.writeHead(status, headers).end()
  })
  const subscriber = await openTrickleSubscriber({ url }, context)
  expect(await collect(subscriber)).toEqual([])
  expect((await subscriber.closed).why).toBe('ended')
})

test('a server without /next is read and written from its first segment', async () => {
  const posted: string[] = []
  const url = await stub((request, response) => {
    if (request.url === '/one/next') return void response.writeHead(400).end('Invalid idx')
    if (request.method === 'GET') return void response.writeHead(200, { 'Lp-Trickle-Seq': '4' }).end('four')
    request.resume().on('end', () => {
      posted.push(String(request.url))
      response.end()
    })
  })
  expect(await collect(await openTrickleSubscriber({ url }, context), 1)).toEqual([[4, 'four']])
  const publisher = await openTricklePublisher({ ...options, url }, context)
  publisher.open().close()
  await until(() => posted.includes('/one/0'))
  await publisher.close()
})

test('repeated 100 Continue does not disturb a publisher', async () => {
  const { url, port } = await serve({ autocreate: true, keepaliveMs: 10 })
  const publisher = await openTricklePublisher({ ...options, url: `${url}/one`, deleteOnClose: false }, context)
  await pause(150)
  const writer = publisher.open()
  await pause(100)
  writer.write(Buffer.from('late'))
  writer.close()
  expect(await writer.stored).toBe(true)
  expect((await get(port, '/one/0')).text).toBe('late')
  await publisher.close()
})

test('closing a subscriber ends its loop and its connections', async () => {
  const { url, port, trickle } = await serve()
  await post(port, '/one')
  const abort = new AbortController()
  const subscriber = await openTrickleSubscriber({ url: `${url}/one` }, { ...context, signal: abort.signal })
  const reading = collect(subscriber)
  await until(() => trickle.readers === 1)
  abort.abort()
  expect(await reading).toEqual([])
  expect((await subscriber.closed).why).toBe('stopped')
  await until(() => trickle.readers === 0)
})
