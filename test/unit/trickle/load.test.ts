import { once } from 'node:events'
import { Agent, type IncomingMessage, request } from 'node:http'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import { publishTo } from '../../../src/trickle/server/local-publication.ts'
import { pause, post, serve, until, Wire } from './harness.ts'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** Heap and buffers in use after garbage collection, in MB. */
async function usedMb(): Promise<number> {
  for (let i = 0; i < 3; i++) {
    collect()
    await pause(10)
  }
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return (heapUsed + arrayBuffers) / 1e6
}

test('10,000 segments leave no memory behind', async () => {
  const { port, trickle } = await serve()
  const agent = new Agent({ keepAlive: true, maxSockets: 4 })
  const body = Buffer.alloc(20_000, 'x')
  const send = async (method: string, path: string) => {
    const outgoing = request({ port, host: '127.0.0.1', method, path, agent }).end(method === 'POST' ? body : undefined)
    const [response] = (await once(outgoing, 'response')) as [IncomingMessage]
    response.resume()
    await once(response, 'end')
  }
  const run = async (from: number, to: number) => {
    for (let seq = from; seq < to; seq++) {
      await Promise.all([send('POST', `/one/${seq}`), seq > 0 && send('GET', `/one/${seq - 1}`)])
    }
  }
  await run(0, 1000)
  const before = await usedMb()
  await run(1000, 10_000)
  const after = await usedMb()
  agent.destroy()
  expect(trickle.stats()).toMatchObject({ segments: 10_000, truncated: 0, bytesHeld: 64 * body.length })
  expect(after - before).toBeLessThan(5)
})

test('1,000 waiting readers use less than 50 MB and are released when they disconnect', async () => {
  const { port, trickle } = await serve()
  await post(port, '/one')
  const before = await usedMb()
  const readers = Array.from({ length: 1000 }, () => new Wire(port).get('/one/0'))
  await until(() => trickle.readers === 1000, '1,000 readers', 30_000)
  const waiting = await usedMb()
  expect(waiting - before).toBeLessThan(50)
  for (const { socket } of readers) socket.destroy()
  await until(() => trickle.readers === 0, 'no reader', 30_000)
  readers.length = 0
  expect((await usedMb()) - before).toBeLessThan(15)
})

test('a slow reader never slows a fast one', async () => {
  const { port, trickle } = await serve()
  const channel = trickle.create('one', 'video/MP2T')
  const publication = publishTo(channel)
  const chunk = Buffer.alloc(100_000, 'x')
  const slow = Array.from({ length: 5 }, () => new Wire(port))
  for (const { socket } of slow) socket.pause()
  const delays: number[] = []
  for (let seq = 0; seq < 20; seq++) {
    const arrived = (async () => {
      const outgoing = request({ port, host: '127.0.0.1', path: `/one/${seq}`, agent: false }).end()
      const [response] = (await once(outgoing, 'response')) as [IncomingMessage]
      let bytes = 0
      for await (const part of response) bytes += (part as Buffer).length
      return bytes
    })()
    for (const wire of slow) wire.get(`/one/${seq}`)
    await until(() => trickle.readers >= 1)
    const began = performance.now()
    const writer = publication.open()
    for (let i = 0; i < 10; i++) writer.write(chunk)
    writer.close()
    expect(await arrived).toBe(1_000_000)
    delays.push(performance.now() - began)
  }
  delays.sort((a, b) => a - b)
  expect(delays[10]).toBeLessThan(200)
  expect(publication.stats()).toMatchObject({ segments: 20, dropped: 0 })
})

test('with the default ring a reader paused for 10 s loses nothing', async () => {
  const { port, trickle } = await serve()
  // 10 s of half-second segments at 8 Mbit/s, while the reader pauses.
  const channel = trickle.create('one', 'video/MP2T')
  const publication = publishTo(channel)
  const body = Buffer.alloc(500_000, 'x')
  for (let seq = 0; seq < 22; seq++) {
    const writer = publication.open()
    writer.write(body)
    writer.close()
  }
  let bytes = 0
  for (let seq = 0; seq < 22; seq++) {
    const outgoing = request({ port, host: '127.0.0.1', path: `/one/${seq}`, agent: false }).end()
    const [response] = (await once(outgoing, 'response')) as [IncomingMessage]
    expect(response.statusCode).toBe(200)
    for await (const part of response) bytes += (part as Buffer).length
  }
  expect(bytes).toBe(22 * body.length)
  expect(trickle.stats().missed).toBe(0)
})
