import { expect, test } from 'vitest'
import { get, pause, post, serve, until, Wire } from '../harness.ts'

// Contract §1.5.

test('nothing is sent before the first byte, then headers and bytes at once', async () => {
  const { port, trickle } = await serve()
  const publisher = new Wire(port).post('/one/0', { 'Content-Type': 'a/b' })
  await until(() => trickle.get('one') !== undefined)
  const reader = new Wire(port).get('/one/0')
  await until(() => trickle.readers === 1)
  await pause(100)
  expect(reader.text).toBe('')
  publisher.chunk('now')
  await reader.until('now')
  expect(reader.text).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
  expect(reader.text).toContain('Lp-Trickle-Seq: 0\r\n')
  expect(reader.text).toContain('Content-Type: a/b\r\n')
})

test('Latest is sent unless it equals the segment number', async () => {
  const { port, trickle } = await serve()
  await post(port, '/one')
  const waiting = get(port, '/one/0')
  await until(() => trickle.readers === 1)
  await post(port, '/one/0', 'a')
  expect((await waiting).headers['lp-trickle-latest']).toBeUndefined()
  expect((await get(port, '/one/0')).headers['lp-trickle-latest']).toBe('1')
})

test('-1 skips the segment in progress, -2 reads it', async () => {
  const { port, trickle } = await serve()
  const first = new Wire(port).post('/one/0').chunk('zero')
  await until(() => trickle.get('one')?.head === 1)
  const next = get(port, '/one/-1')
  await until(() => trickle.readers === 1)
  const current = new Wire(port).get('/one/-2')
  await current.until('zero')
  first.end()
  await first.until('200 OK')
  await post(port, '/one/1', 'one')
  const reply = await next
  expect([reply.text, reply.headers['lp-trickle-seq']]).toEqual(['one', '1'])
  expect((await get(port, '/one/-2')).text).toBe('one')
})

test('-1 and -2 before any write both wait for segment 0', async () => {
  const { port, trickle } = await serve()
  await post(port, '/one')
  const both = [get(port, '/one/-1'), get(port, '/one/-2')]
  await until(() => trickle.readers === 2)
  await post(port, '/one/0', 'a')
  for (const reply of await Promise.all(both)) expect([reply.text, reply.headers['lp-trickle-seq']]).toEqual(['a', '0'])
})

test('-N replays as far back as the ring reaches', async () => {
  const { port } = await serve({ autocreate: true, channel: { ringSegments: 4 } })
  for (let seq = 0; seq < 8; seq++) await post(port, `/one/${seq}`, String(seq))
  expect((await get(port, '/one/-3')).text).toBe('6')
  expect((await get(port, '/one/-5')).text).toBe('4')
  expect((await get(port, '/one/-100')).text).toBe('4')
})

test('-N is 400 where replay is off', async () => {
  const { port } = await serve({ autocreate: true, channel: { replay: false } })
  await post(port, '/one/0', 'a')
  expect((await get(port, '/one/-2')).status).toBe(200)
  const reply = await get(port, '/one/-3')
  expect([reply.status, reply.text]).toEqual([400, 'Invalid idx'])
})

test('a reader may wait for 1 before 0 has started', async () => {
  const { port, trickle } = await serve()
  await post(port, '/one')
  const waiting = get(port, '/one/1')
  await until(() => trickle.readers === 1)
  expect((await get(port, '/one/2')).status).toBe(470)
  await post(port, '/one/0', 'a')
  await post(port, '/one/1', 'b')
  expect((await waiting).text).toBe('b')
})

test('an evicted segment is 470, with the number of missed segments', async () => {
  const { port, trickle } = await serve({ autocreate: true, channel: { ringSegments: 5 } })
  for (let seq = 0; seq < 6; seq++) await post(port, `/one/${seq}`, 'x')
  const reply = await get(port, '/one/0')
  expect([reply.status, reply.text]).toEqual([470, 'Entry not found'])
  expect([reply.headers['lp-trickle-latest'], reply.headers['lp-trickle-missed']]).toEqual(['6', '6'])
  expect(trickle.stats().missed).toBe(6)
  expect((await get(port, '/one/1')).status).toBe(200)
})

test('the ring is also bounded by bytes, and keeps the newest segments', async () => {
  const { port, trickle } = await serve({ autocreate: true, channel: { ringBytes: 10_000 } })
  for (let seq = 0; seq < 6; seq++) await post(port, `/one/${seq}`, 'x'.repeat(4000))
  expect(trickle.stats().bytesHeld).toBe(8000)
  expect((await get(port, '/one/3')).status).toBe(470)
  expect((await get(port, '/one/4')).status).toBe(200)
  await post(port, '/one/6', 'y'.repeat(20_000))
  expect((await get(port, '/one/6')).text).toHaveLength(20_000)
  expect(trickle.stats().bytesHeld).toBe(20_000)
})

test('an empty segment is 200 with Seq and Latest only', async () => {
  const { port, trickle } = await serve()
  await post(port, '/one')
  const waiting = get(port, '/one/0')
  await until(() => trickle.readers === 1)
  await post(port, '/one/0')
  const reply = await waiting
  expect([reply.status, reply.text]).toEqual([200, ''])
  expect([reply.headers['lp-trickle-seq'], reply.headers['lp-trickle-latest']]).toEqual(['0', '1'])
  expect(reply.headers['lp-trickle-closed']).toBeUndefined()
})

test('a reader in mid-segment is ended when the channel closes', async () => {
  const { port, trickle } = await serve()
  new Wire(port).post('/one/0').chunk('part')
  await until(() => trickle.get('one')?.head === 1)
  const reader = new Wire(port).get('/one/0')
  await reader.until('part')
  trickle.get('one')?.close()
  await reader.until('\r\n0\r\n\r\n')
})

test('a waiting reader is released when its client disconnects', async () => {
  const { port, trickle } = await serve()
  await post(port, '/one')
  const reader = new Wire(port).get('/one/0')
  await until(() => trickle.readers === 1)
  reader.socket.destroy()
  await until(() => trickle.readers === 0)
})

test('a reader on a keep-alive connection reads one segment after the other', async () => {
  const { port } = await serve()
  for (let seq = 0; seq < 3; seq++) await post(port, `/one/${seq}`, `body${seq}`)
  const reader = new Wire(port)
  for (let seq = 0; seq < 3; seq++) {
    reader.get(`/one/${seq}`)
    await reader.until(`body${seq}`)
  }
  expect(reader.ended).toBe(false)
})

test('a reader above the limit is refused', async () => {
  const { port, trickle } = await serve({ autocreate: true, maxReaders: 1 })
  await post(port, '/one')
  const reader = new Wire(port).get('/one/0')
  await until(() => trickle.readers === 1)
  const refused = await get(port, '/one/0')
  expect([refused.status, refused.headers['retry-after']]).toEqual([503, '5'])
  reader.socket.destroy()
  await until(() => trickle.readers === 0)
})

test('a reader that consumes nothing for too long is disconnected and counted', async () => {
  const { port, trickle } = await serve({ autocreate: true, stallTimeoutMs: 100 })
  await post(port, '/one/0', Buffer.alloc(9_000_000))
  const reader = new Wire(port)
  reader.socket.pause()
  reader.get('/one/0')
  await until(() => trickle.stats().stalled === 1)
  await until(() => trickle.readers === 0)
})

test('readers of a number the publisher skipped are released', async () => {
  const { port, trickle } = await serve()
  await post(port, '/one')
  const waiting = get(port, '/one/0')
  await until(() => trickle.readers === 1)
  await post(port, '/one/5', 'x')
  const reply = await waiting
  expect([reply.status, reply.text, reply.headers['lp-trickle-latest']]).toEqual([200, '', '6'])
})

test('idle channels are closed after a while, except local ones and those starting with an underscore', async () => {
  const { port, trickle } = await serve({ autocreate: true, idleTimeoutMs: 60, sweepIntervalMs: 10 })
  trickle.create('own', 'a/b')
  await post(port, '/_kept/0', 'x')
  await post(port, '/one/0', 'x')
  const waiting = get(port, '/one/1')
  await until(() => trickle.get('one') === undefined)
  expect((await waiting).headers['lp-trickle-closed']).toBe('terminated')
  expect([trickle.get('own') !== undefined, trickle.get('_kept') !== undefined]).toEqual([true, true])
  expect((await get(port, '/one/0')).text).toBe('Stream not found')
})
