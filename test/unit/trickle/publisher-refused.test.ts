import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { openTricklePublisher } from '../../../src/trickle/client/publisher.ts'
import { pause, silent, until } from './harness.ts'

/** A server of which only the first answer to a segment is known. */
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

test('a segment that was refused while it waited is asked for again', async () => {
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
