import { expect, test } from 'vitest'
import { AppError } from '../../../../src/core/errors.ts'
import { call, del, get, post, serve, Wire } from '../harness.ts'

// Contract §1.2, row by row.

test('POST /{name} creates a channel with the mime type of Expect-Content, once', async () => {
  const { port, trickle } = await serve({})
  const created = await post(port, '/one', '', { 'Expect-Content': 'video/MP2T' })
  expect([created.status, created.text]).toEqual([200, ''])
  const again = await post(port, '/one', '', { 'Expect-Content': 'application/json' })
  expect(again.status).toBe(200)
  expect(trickle.get('one')?.mime).toBe('video/MP2T')
})

test('POST /{name}/{idx} stores a segment and returns its number', async () => {
  const { port } = await serve()
  const stored = await post(port, '/one/0', 'hello', { 'Content-Type': 'text/x' })
  expect([stored.status, stored.text, stored.headers['lp-trickle-seq']]).toEqual([200, '', '0'])
  const read = await get(port, '/one/0')
  expect([read.status, read.text, read.headers['content-type']]).toEqual([200, 'hello', 'text/x'])
})

test('POST to an absent channel without autocreate is 404 and closes the connection', async () => {
  const { port } = await serve({})
  const wire = new Wire(port).post('/one/0')
  await wire.until('Stream not found')
  expect(wire.text).toMatch(/^HTTP\/1\.1 404 /)
  expect(wire.text.toLowerCase()).toContain('connection: close')
  await wire.closed()
})

test.each(['x', '1.5', '-2', '-7', '99999999999999999999', '0x1'])('POST /one/%s is 400 Invalid idx', async (index) => {
  const { port, trickle } = await serve()
  const reply = await post(port, `/one/${index}`, 'x')
  expect([reply.status, reply.text]).toEqual([400, 'Invalid idx'])
  expect(trickle.get('one')).toBeUndefined()
})

test.each(['x', '1.5', '99999999999999999999'])('GET /one/%s is 400 Invalid idx', async (index) => {
  const { port } = await serve()
  await post(port, '/one')
  const reply = await get(port, `/one/${index}`)
  expect([reply.status, reply.text]).toEqual([400, 'Invalid idx'])
})

test('GET and /next of an absent channel are 404', async () => {
  const { port } = await serve()
  for (const path of ['/one/0', '/one/-1', '/one/next']) {
    const reply = await get(port, path)
    expect([reply.status, reply.text]).toEqual([404, 'Stream not found'])
  }
})

test('GET of a number far ahead is 470 with Seq, Latest and a text', async () => {
  const { port } = await serve()
  await post(port, '/one/0', 'a')
  await post(port, '/one/1', 'b')
  const reply = await get(port, '/one/7')
  expect([reply.status, reply.text]).toEqual([470, 'Entry not found'])
  expect([reply.headers['lp-trickle-seq'], reply.headers['lp-trickle-latest']]).toEqual(['7', '2'])
  expect(reply.headers['lp-trickle-missed']).toBeUndefined()
})

test('GET /{name}/next returns the head in body and header', async () => {
  const { port } = await serve()
  await post(port, '/one')
  expect((await get(port, '/one/next')).text).toBe('0')
  await post(port, '/one/4', 'x')
  const reply = await get(port, '/one/next')
  expect([reply.status, reply.text, reply.headers['lp-trickle-latest']]).toEqual([200, '5', '5'])
  expect(reply.headers['lp-trickle-closed']).toBeUndefined()
})

test('DELETE /{name}/{idx}: 200, 404 without the channel, 400 for an invalid or missing number', async () => {
  const { port } = await serve()
  await post(port, '/one/0', 'x')
  const replies = await Promise.all(['/one/0', '/two/0', '/one/-1', '/one/x', '/one/1'].map((path) => del(port, path)))
  expect(replies.map(({ status, text }) => [status, text])).toEqual([
    [200, ''],
    [404, 'Stream not found'],
    [400, 'Invalid idx'],
    [400, 'Invalid idx'],
    [400, 'Nonexistent segment'],
  ])
})

test('DELETE /{name} removes the channel; an unknown one is 400', async () => {
  const { port } = await serve({})
  await post(port, '/one')
  expect((await del(port, '/one')).status).toBe(200)
  expect((await get(port, '/one/next')).status).toBe(404)
  const again = await del(port, '/one')
  expect([again.status, again.text]).toEqual([400, 'Invalid stream'])
})

test('other methods are 405 with Allow, other paths 404', async () => {
  const { port } = await serve()
  const put = await call(port, 'PUT', '/one/0')
  expect([put.status, put.headers.allow]).toEqual([405, 'GET, POST, DELETE'])
  expect((await call(port, 'GET', '/one')).headers.allow).toBe('POST, DELETE')
  expect((await call(port, 'POST', '/one/next')).headers.allow).toBe('GET')
  expect((await get(port, '/')).status).toBe(404)
  expect((await get(port, '/one/0/more')).status).toBe(404)
  expect((await post(port, '/%zz')).status).toBe(400)
})

test('a name may contain any characters, percent-encoded', async () => {
  const { port, trickle } = await serve()
  await post(port, '/a%2Fb%20%C3%A9/0', 'x')
  expect(trickle.get('a/b é')?.head).toBe(1)
})

test.each([
  ['unauthorized', 401],
  ['invalid-request', 400],
  ['not-found', 404],
  ['conflict', 409],
  ['capacity', 503],
  ['internal', 500],
] as const)('a hook that refuses with %s responds %i with its message', async (code, status) => {
  const beforeCreate = () => {
    throw new AppError(code, 'not so')
  }
  const { port, trickle } = await serve({ autocreate: true, beforeCreate })
  for (const path of ['/one', '/one/0']) {
    const reply = await post(port, path, 'body')
    expect([reply.status, reply.text]).toEqual([status, 'not so'])
  }
  expect(trickle.get('one')).toBeUndefined()
})

test('channels above the limit are 503 with Retry-After', async () => {
  const { port } = await serve({ autocreate: true, maxChannels: 2 })
  await post(port, '/one')
  await post(port, '/two/0', 'x')
  const third = await post(port, '/three/0', 'x')
  expect([third.status, third.headers['retry-after']]).toEqual([503, '5'])
})

test('onChannel reports channels created by requests, before their first byte', async () => {
  const told: string[] = []
  const { port, trickle } = await serve({
    autocreate: true,
    onChannel: (channel, request) => {
      told.push(`${request.method} ${channel.name} ${channel.mime} ${channel.head}`)
      return undefined
    },
  })
  trickle.create('own', 'video/MP2T')
  await post(port, '/one', '', { 'Expect-Content': 'a/b' })
  await post(port, '/two/0', 'x', { 'Content-Type': 'c/d' })
  await post(port, '/two/1', 'x')
  expect(told).toEqual(['POST one a/b 0', 'POST two c/d 0'])
})

test('the changefeed reports channels that come and go, and is read-only', async () => {
  const { port } = await serve({ autocreate: true, changefeed: true })
  const first = get(port, '/_changes/0')
  await post(port, '/one/0', 'x')
  await del(port, '/one')
  expect(JSON.parse((await first).text)).toEqual({ added: ['one'] })
  const second = await get(port, '/_changes/1')
  expect(second.headers['content-type']).toBe('application/json')
  expect(JSON.parse(second.text)).toEqual({ removed: ['one'] })
  expect((await post(port, '/_changes/-1', 'x')).status).toBe(403)
  expect((await del(port, '/_changes')).status).toBe(403)
})
