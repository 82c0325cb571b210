import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { TrickleClient } from '../../../src/trickle/client/http.ts'
import { openTricklePublisher } from '../../../src/trickle/client/publisher.ts'
import { pause, silent, until } from './harness.ts'

/** A server that sends only the first response to a segment. */
async function serve(onSegment: RequestListener): Promise<string> {
  const server = createServer((request, response) => {
    if (request.url?.endsWith('/next')) response.end('0')
    else onSegment(request, response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/one`
}

test('a server that refuses every segment before its first byte ends the publication', async () => {
  const url = await serve((_, response) => response.writeHead(500, { connection: 'close' }).end('no room'))
  const publication = await openTricklePublisher({ url, mime: 'text/plain', maxFailures: 2 }, { log: silent })
  let ended = false
  void publication.closed.then(() => {
    ended = true
  })
  for (let count = 0; count < 200 && !ended; count++) {
    const writer = publication.open()
    if (!writer.write(Buffer.from('x'))) writer.abort()
    writer.close()
    await pause(50)
  }
  expect(await publication.closed).toMatchObject({ why: 'failed', error: { code: 'trickle-failed' } })
  expect(publication.stats()).toMatchObject({ segments: 0 })
  expect(publication.stats().dropped).toBeGreaterThan(0)
})

test('a segment refused while it waited is requested again', async () => {
  let refusals = 2
  const stored: string[] = []
  const url = await serve((request, response) => {
    if (refusals-- > 0) {
      response.writeHead(503, { connection: 'close' }).end()
      return
    }
    let text = ''
    request.on('data', (chunk) => {
      text += chunk
    })
    request.on('end', () => {
      stored.push(`${request.url?.split('/').at(-1)} ${text}`)
      response.end()
    })
  })
  await using publication = await openTricklePublisher(
    { url, mime: 'text/plain', deleteOnClose: false },
    { log: silent },
  )
  await until(() => refusals < 0, 'a request that is taken')
  for (const text of ['a', 'b']) {
    const writer = publication.open()
    writer.write(Buffer.from(text))
    writer.close()
    expect(await writer.stored).toBe(true)
  }
  expect(stored).toEqual(['0 a', '1 b'])
})

test('a refusal that quotes its request is told without the channel and the credentials', () => {
  const url = 'http://user:pa55%3Aword@127.0.0.1:9/ai/trickle/name%207-out?key=let%20me%20in'
  const client = new TrickleClient({ url, headers: { authorization: 'Bearer the-token' } })
  onTestFinished(() => client.destroy())
  const basic = Buffer.from('user:pa55:word').toString('base64')
  const text =
    '"name 7-out" of /ai/trickle/name%207-out?key=let%20me%20in ("let me in") is not for user:pa55:word, pa55%3Aword, ' +
    `Bearer the-token, Basic ${basic}`
  expect(client.refusal({ status: 400, headers: {}, text }).message).toBe(
    'http://127.0.0.1:9: status 400: "…" of /ai/trickle/…?key=… ("…") is not for …:…, …, Bearer …, Basic …',
  )
})
