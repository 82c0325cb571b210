import { expect, test } from 'vitest'
import { AppError } from '../../../src/core/errors.ts'
import { openTricklePublisher } from '../../../src/trickle/client/publisher.ts'
import { openTrickleSubscriber } from '../../../src/trickle/client/subscriber.ts'
import { Channel } from '../../../src/trickle/server/channel.ts'
import { publishTo } from '../../../src/trickle/server/local-publication.ts'
import { subscribeTo } from '../../../src/trickle/server/local-subscription.ts'
import { del, get, pause, post, serve, silent, until, Wire } from './harness.ts'

// Contract §1.10: the tests of the original implementation, by name, on our server and clients.

const context = { log: silent }
const mime = 'video/MP2T'

test('Trickle_Close', async () => {
  const { url, port, trickle } = await serve({})
  const early = await openTricklePublisher({ url: `${url}/one`, mime }, context)
  expect((await early.closed).error?.code).toBe('not-found')
  await post(port, '/one')
  expect(early.open().write(Buffer.from('x'))).toBe(false)
  const publisher = await openTricklePublisher({ url: `${url}/one`, mime }, context)
  for (const text of ['zero', 'one']) {
    const writer = publisher.open()
    writer.write(Buffer.from(text))
    writer.close()
    await writer.stored
  }
  for (const seq of [0, 1]) {
    const { headers } = await get(port, `/one/${seq}`)
    expect([headers['lp-trickle-seq'], headers['lp-trickle-latest']]).toEqual([String(seq), '2'])
  }
  const subscriber = await openTrickleSubscriber({ url: `${url}/one` }, context)
  const reading = subscriber[Symbol.asyncIterator]().next()
  await until(() => trickle.readers > 0)
  await publisher.close()
  expect((await reading).done).toBe(true)
  expect((await subscriber.closed).why).toBe('ended')
  await expect(openTrickleSubscriber({ url: `${url}/one` }, context)).rejects.toMatchObject({ code: 'not-found' })
  const late = await openTricklePublisher({ url: `${url}/one`, mime }, context)
  expect((await late.closed).error?.code).toBe('not-found')
})

test('LocalPublisher_CreateContract', async () => {
  const { trickle } = await serve({})
  expect(trickle.get('one')).toBeUndefined()
  const writer = publishTo(trickle.create('one', mime)).open()
  expect(writer.write(Buffer.from('x'))).toBe(true)
  expect(trickle.get('one')?.head).toBe(1)
  expect(() => trickle.create('one', mime)).toThrow('channel one exists')
})

test('HTTPCreateContract', async () => {
  const closed = await serve({})
  expect((await post(closed.port, '/one/0', 'x')).status).toBe(404)
  await post(closed.port, '/one')
  expect((await post(closed.port, '/one/0', 'x')).status).toBe(200)
  const open = await serve({ autocreate: true })
  expect((await post(open.port, '/one/0', 'x')).status).toBe(200)
})

test('BeforeCreate', async () => {
  const seen: unknown[] = []
  let refusal: Error | undefined = new AppError('unauthorized', 'who are you')
  const { port, trickle } = await serve({
    autocreate: true,
    beforeCreate: async (request, name, type) => {
      await pause(1)
      seen.push([name, type, request.headers['expect-content'], trickle.get(name)])
      if (refusal) throw refusal
    },
  })
  expect((await post(port, '/one', '', { 'Expect-Content': 'a/b' })).status).toBe(401)
  expect(seen).toEqual([['one', 'a/b', 'a/b', undefined]])
  expect((await get(port, '/one/next')).status).toBe(404)
  refusal = new Error('plain')
  const plain = await post(port, '/one/0', 'body')
  expect([plain.status, plain.text]).toEqual([500, 'plain'])
  refusal = undefined
  expect((await post(port, '/one/0', 'body')).status).toBe(200)
  expect((await get(port, '/one/0')).text).toBe('body')
})

test('BeforeDelete', async () => {
  let refusal: Error | undefined = new AppError('unauthorized', 'who are you')
  const existed: boolean[] = []
  const { port, trickle } = await serve({
    autocreate: true,
    beforeDelete: (_, name) => {
      existed.push(trickle.get(name) !== undefined)
      if (refusal) throw refusal
    },
  })
  await post(port, '/one')
  expect((await del(port, '/one')).status).toBe(401)
  refusal = new Error('plain')
  expect((await del(port, '/one')).status).toBe(500)
  expect((await get(port, '/one/next')).status).toBe(200)
  refusal = undefined
  expect((await del(port, '/one')).status).toBe(200)
  expect((await get(port, '/one/next')).status).toBe(404)
  expect(existed).toEqual([true, true, true])
})

test('SetSeq: segments can be read from any number, forwards and backwards', async () => {
  const { port } = await serve()
  for (let seq = 0; seq < 4; seq++) await post(port, `/one/${seq}`, `s${seq}`)
  for (const seq of [0, 1, 2, 3, 2, 0, 3, 1]) expect((await get(port, `/one/${seq}`)).text).toBe(`s${seq}`)
})

test('Reset: a second post to an open segment appends', async () => {
  const { port } = await serve()
  const first = new Wire(port).post('/one/0').chunk('first')
  await pause(20)
  const inFlight = new Wire(port).get('/one/0')
  await inFlight.until('first')
  await post(port, '/one/0', 'second')
  await inFlight.until('second')
  expect((await get(port, '/one/0')).text).toBe('firstsecond')
  first.socket.destroy()
})

test('PublisherReset: -1 with Reset releases the reader of the broken segment, and late writes are ignored', async () => {
  const { port, trickle } = await serve()
  const old = new Wire(port).post('/one/0').chunk('kept')
  await until(() => trickle.get('one')?.head === 1)
  const stuck = get(port, '/one/0')
  const reset = await post(port, '/one/-1', 'fresh', { 'Lp-Trickle-Reset': 'true' })
  expect(reset.headers['lp-trickle-seq']).toBe('1')
  expect((await stuck).text).toBe('kept')
  expect((await get(port, '/one/1')).text).toBe('fresh')
  old.chunk('late').end()
  await old.until('200 OK')
  expect((await get(port, '/one/0')).text).toBe('kept')
})

test('EmptySegment', async () => {
  const { port, trickle } = await serve()
  await post(port, '/one')
  const reading = get(port, '/one/0')
  await until(() => trickle.readers === 1)
  await post(port, '/one/0', '')
  const { status, text, headers } = await reading
  expect([status, text, headers['lp-trickle-seq'], headers['lp-trickle-latest']]).toEqual([200, '', '0', '1'])
  expect(headers['lp-trickle-closed']).toBeUndefined()
})

test('IdleSweep', async () => {
  const { port, trickle } = await serve({ autocreate: true, idleTimeoutMs: 1, sweepIntervalMs: 10 })
  await post(port, '/one/0', 'x')
  await until(() => trickle.get('one') === undefined)
  expect((await get(port, '/one/0')).text).toBe('Stream not found')
})

test('CancelSub', async () => {
  const { url, port } = await serve()
  await post(port, '/one')
  const abort = new AbortController()
  const subscriber = await openTrickleSubscriber({ url: `${url}/one` }, { ...context, signal: abort.signal })
  const reading = subscriber[Symbol.asyncIterator]().next()
  setTimeout(() => abort.abort(), 20)
  expect((await reading).done).toBe(true)
  expect((await subscriber.closed).why).toBe('stopped')
})

test('SetSubStart', async () => {
  const { url, port, trickle } = await serve()
  await post(port, '/one')
  const read = async (start: number, count: number) => {
    const seqs: number[] = []
    const subscriber = await openTrickleSubscriber({ url: `${url}/one`, start }, context)
    for await (const { seq, bytes } of subscriber) {
      for await (const _ of bytes);
      seqs.push(seq)
      if (seqs.length === count) break
    }
    return seqs
  }
  const before = read(-1, 3)
  await until(() => trickle.readers === 1)
  const wire = new Wire(port).post('/one/0').chunk('a')
  await until(() => trickle.get('one')?.head === 1)
  const current = read(-2, 3)
  const following = read(-1, 2)
  await until(() => trickle.readers >= 3)
  wire.end()
  await post(port, '/one/1', 'b')
  await post(port, '/one/2', 'c')
  expect(await Promise.all([before, current, following])).toEqual([
    [0, 1, 2],
    [0, 1, 2],
    [1, 2],
  ])
  expect(await read(1, 2)).toEqual([1, 2])
})

test('LocalSubscriber_OverrunSeq', async () => {
  const channel = new Channel('one', mime, { ringSegments: 5 })
  const publication = publishTo(channel)
  const write = (text: string) => {
    const writer = publication.open()
    writer.write(Buffer.from(text))
    writer.close()
  }
  for (let seq = 0; seq < 8; seq++) write(String(seq))
  const first = async (start: number) => {
    for await (const { seq } of subscribeTo(channel, start)) return seq
    return undefined
  }
  expect(channel.locate(0).segment).toBeUndefined()
  expect(await first(-2)).toBe(7)
  const next = first(-1)
  write('8')
  expect(await next).toBe(8)
})

test('LocalSubscriber_PreconnectOnEmpty: a publisher that ends with a preconnected segment leaves it empty', async () => {
  const { port, trickle } = await serve()
  await post(port, '/one/0', 'x')
  const ahead = new Wire(port).post('/one/1')
  await pause(20)
  ahead.end()
  await ahead.until('200 OK')
  const { status, text } = await get(port, '/one/1')
  expect([status, text, trickle.get('one')?.head]).toEqual([200, '', 2])
})
