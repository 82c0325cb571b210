import { expect, test } from 'vitest'
import { SERVER_DEFAULTS } from '../../../../src/trickle/server/options.ts'
import { del, get, pause, post, serve, until, Wire } from '../harness.ts'

// Contract §1.4, with the divergences of §8.

test('-1 is the head, and the response has its number', async () => {
  const { port } = await serve()
  expect((await post(port, '/one/-1', 'a')).headers['lp-trickle-seq']).toBe('0')
  expect((await post(port, '/one/-1', 'b')).headers['lp-trickle-seq']).toBe('1')
  expect((await get(port, '/one/1')).text).toBe('b')
})

test('a publisher keeps its connection over many segments', async () => {
  const { port } = await serve()
  const wire = new Wire(port)
  for (let seq = 0; seq < 5; seq++) {
    wire.post(`/one/${seq}`).chunk('x').end()
    await wire.until(`Lp-Trickle-Seq: ${seq}`)
  }
  expect(wire.text.toLowerCase()).not.toContain('connection: close')
})

test('a silent publisher gets 100 Continue repeatedly until its first byte', async () => {
  expect(SERVER_DEFAULTS.keepaliveMs).toBe(10_000)
  const { port } = await serve({ autocreate: true, keepaliveMs: 60 })
  const wire = new Wire(port).post('/one/0')
  const continues = () => wire.text.split('HTTP/1.1 100 Continue\r\n\r\n').length - 1
  await pause(30)
  expect(continues()).toBe(0)
  await until(() => continues() >= 3)
  wire.chunk('a')
  await pause(30)
  const before = continues()
  await pause(200)
  expect(continues()).toBe(before)
  wire.end()
  await wire.until('200 OK')
})

test('the head moves at the first byte, not at the connection', async () => {
  const { port, trickle } = await serve()
  const wire = new Wire(port).post('/one/0')
  await until(() => trickle.get('one') !== undefined)
  await pause(20)
  expect((await get(port, '/one/next')).text).toBe('0')
  wire.chunk('a')
  await until(() => trickle.get('one')?.head === 1)
})

test('an empty body advances the head, and the connection closes', async () => {
  const { port } = await serve()
  const wire = new Wire(port).post('/one/0').end()
  await wire.until('\r\n\r\n')
  expect(wire.text).toMatch(/^HTTP\/1\.1 200 /)
  expect(wire.text.toLowerCase()).toContain('connection: close')
  expect(wire.text.toLowerCase()).not.toContain('lp-trickle-closed')
  await wire.closed()
  expect((await get(port, '/one/next')).text).toBe('1')
})

test('readers get bytes as they arrive', async () => {
  const { port } = await serve()
  const publisher = new Wire(port).post('/one/0').chunk('first')
  const reader = new Wire(port)
  await until(() => publisher.socket.bytesWritten > 0)
  await pause(20)
  reader.get('/one/0')
  await reader.until('first')
  publisher.chunk('second')
  await reader.until('second')
  expect(reader.text).not.toContain('\r\n0\r\n\r\n')
  publisher.end()
  await reader.until('\r\n0\r\n\r\n')
})

test('a second POST to an open segment is appended', async () => {
  const { port } = await serve()
  const first = new Wire(port).post('/one/0').chunk('aaa')
  const reader = new Wire(port)
  await pause(20)
  reader.get('/one/0')
  await reader.until('aaa')
  expect((await post(port, '/one/0', 'bbb')).status).toBe(200)
  await reader.until('bbb')
  // The segment is complete: the first publisher gets its response at once, and late bytes are discarded.
  await first.until('200 OK')
  first.chunk('ccc')
  expect((await get(port, '/one/0')).text).toBe('aaabbb')
})

test('a second POST to a complete segment stores nothing and does not move the head', async () => {
  const { port } = await serve()
  for (const [seq, text] of ['a', 'b', 'c'].entries()) await post(port, `/one/${seq}`, text)
  const again = await post(port, '/one/0', 'other')
  expect([again.status, again.headers['lp-trickle-seq'], again.headers['lp-trickle-latest']]).toEqual([200, '0', '3'])
  expect((await get(port, '/one/0')).text).toBe('a')
  expect((await get(port, '/one/next')).text).toBe('3')
})

test('the head never moves back, except in strict mode', async () => {
  const kind = await serve()
  await post(kind.port, '/one/9', 'x')
  await post(kind.port, '/one/3', 'y')
  expect((await get(kind.port, '/one/next')).text).toBe('10')
  expect((await get(kind.port, '/one/3')).text).toBe('y')
  const strict = await serve({ autocreate: true, channel: { strict: true } })
  await post(strict.port, '/one/9', 'x')
  await post(strict.port, '/one/3', 'y')
  expect((await get(strict.port, '/one/next')).text).toBe('4')
})

test('a publisher lost in mid-segment ends it for its readers, counted', async () => {
  const { port, trickle } = await serve()
  const publisher = new Wire(port).post('/one/0').chunk('half')
  const reader = new Wire(port)
  await pause(20)
  reader.get('/one/0')
  await reader.until('half')
  publisher.socket.destroy()
  await reader.until('\r\n0\r\n\r\n')
  expect(trickle.stats().truncated).toBe(1)
})

test('a publisher lost before its first byte may return', async () => {
  const { port, trickle } = await serve()
  const publisher = new Wire(port).post('/one/0')
  const reading = get(port, '/one/0')
  await until(() => trickle.readers === 1)
  publisher.socket.destroy()
  await pause(50)
  await post(port, '/one/0', 'back')
  expect((await reading).text).toBe('back')
  expect(trickle.stats().truncated).toBe(0)
})

test('Reset ends all older segments, and the head may move back', async () => {
  const { port } = await serve()
  const old = new Wire(port).post('/one/0').chunk('old')
  const reader = new Wire(port)
  await pause(20)
  reader.get('/one/0')
  await reader.until('old')
  const reset = await post(port, '/one/-1', 'new', { 'Lp-Trickle-Reset': '1' })
  expect(reset.headers['lp-trickle-seq']).toBe('1')
  await reader.until('\r\n0\r\n\r\n')
  await old.until('200 OK')
  await post(port, '/one/8', 'far')
  await post(port, '/one/0', 'again', { 'Lp-Trickle-Reset': '1' })
  expect((await get(port, '/one/next')).text).toBe('1')
  expect((await get(port, '/one/0')).text).toBe('again')
  // A finished segment of the previous run does not block it.
  await post(port, '/one/1', 'fresh')
  expect((await get(port, '/one/1')).text).toBe('fresh')
})

test('Reset keeps a preconnected later segment', async () => {
  const { port } = await serve()
  await post(port, '/one/0', 'a')
  const later = new Wire(port).post('/one/2')
  await pause(20)
  await post(port, '/one/1', 'b', { 'Lp-Trickle-Reset': '1' })
  later.chunk('c').end()
  await later.until('200 OK')
  expect((await get(port, '/one/2')).text).toBe('c')
})

test('a segment longer than allowed is cut: 413, and readers get its end', async () => {
  const { port, trickle } = await serve({ autocreate: true, channel: { segmentBytes: 1000 } })
  const publisher = new Wire(port).post('/one/0').chunk('x'.repeat(900))
  const reader = new Wire(port)
  await pause(20)
  reader.get('/one/0')
  await reader.until('xxx')
  publisher.chunk('y'.repeat(200))
  await publisher.until('413')
  expect(publisher.text).toContain('Lp-Trickle-Seq: 0')
  expect(publisher.text.toLowerCase()).toContain('connection: close')
  await reader.until('\r\n0\r\n\r\n')
  expect(trickle.stats().oversized).toBe(1)
  expect((await get(port, '/one/0')).text).toBe('x'.repeat(900))
})

test('a publisher far over the limit still reads its 413', async () => {
  const { port } = await serve({ autocreate: true, channel: { segmentBytes: 1000 } })
  const reply = await post(port, '/one/0', Buffer.alloc(300_000))
  expect([reply.status, reply.text]).toEqual([413, 'Segment is longer than 1000 bytes'])
})

test('DELETE of a segment wakes its waiting publisher and readers, and the head moves past it', async () => {
  const { port, trickle } = await serve()
  await post(port, '/one/0', 'a')
  const publisher = new Wire(port).post('/one/1')
  const reading = get(port, '/one/1')
  await until(() => trickle.readers === 1)
  await pause(20)
  expect((await del(port, '/one/1')).status).toBe(200)
  const reply = await reading
  expect([reply.status, reply.text, reply.headers['lp-trickle-latest']]).toEqual([200, '', '2'])
  await publisher.until('200 OK')
  expect(publisher.text).toContain('Lp-Trickle-Seq: 1')
  expect(publisher.text.toLowerCase()).toContain('connection: close')
  expect(publisher.text).not.toContain('Lp-Trickle-Closed')
  await publisher.closed()
})

test('DELETE of the channel wakes waiting publishers and readers with Closed', async () => {
  const { port, trickle } = await serve()
  const publisher = new Wire(port).post('/one/0')
  await until(() => trickle.get('one') !== undefined)
  const reading = get(port, '/one/0')
  await until(() => trickle.readers === 1)
  await del(port, '/one')
  const reply = await reading
  expect([reply.status, reply.text, reply.headers['lp-trickle-seq']]).toEqual([200, '', '0'])
  expect(reply.headers['lp-trickle-closed']).toBe('terminated')
  await publisher.until('200 OK')
  expect(publisher.text).toContain('Lp-Trickle-Closed: terminated')
  expect((await post(port, '/one/1', 'x')).status).toBe(200) // autocreate
})

test('a publisher that disconnects during admission leaves nothing behind', async () => {
  const gate = Promise.withResolvers<void>()
  const { port, trickle } = await serve({ autocreate: true, beforeCreate: () => gate.promise })
  const publisher = new Wire(port).post('/one/0').chunk('x')
  await pause(30)
  publisher.socket.destroy()
  await pause(30)
  gate.resolve()
  await until(() => trickle.get('one') !== undefined)
  await pause(30)
  expect(trickle.get('one')?.locate(0).segment?.writers).toBe(0)
})

test('a body with invalid chunked coding ends the segment', async () => {
  const { port, trickle } = await serve()
  const publisher = new Wire(port).post('/one/0').chunk('half')
  await until(() => trickle.get('one')?.head === 1)
  publisher.send('zz\r\n')
  await until(() => trickle.stats().truncated === 1)
  expect((await get(port, '/one/0')).text).toBe('half')
})
