import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { makeNumberedClip } from '../../helpers/media/clip.ts'
import { decodeNumbers } from '../../helpers/media/probe-ts.ts'
import { startPublisher } from '../../helpers/media/publish.ts'
import { nothingLeft } from '../../helpers/nothing-left.ts'
import { http, httpJson } from '../../helpers/server/http.ts'

const CLIP = join(tmpdir(), 'publish-test.ts')
const SHAPE = { seconds: 2, width: 320, height: 180, fps: 30 }

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

test('a real ffmpeg publishes every frame and leaves nothing behind', async () => {
  await makeNumberedClip({ file: CLIP, ...SHAPE })
  const clean = nothingLeft()
  const body = Promise.withResolvers<Buffer>()
  const server = createServer(async (request, response) => {
    body.resolve(await readBody(request))
    response.end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/ingest/demo`
  await using publisher = await startPublisher({ input: CLIP, url, loop: 1, realTime: false })
  expect(await publisher.closed).toMatchObject({ why: 'ended' })
  const frames = await decodeNumbers(await body.promise)
  expect(frames.map((frame) => frame.number)).toEqual([...Array(60).keys(), ...Array(60).keys()])
  server.close()
  server.closeAllConnections()
  await clean()
})

test('a publisher without a server fails with the message of ffmpeg', async () => {
  await makeNumberedClip({ file: CLIP, ...SHAPE })
  await using publisher = await startPublisher({ input: CLIP, url: 'http://127.0.0.1:9/ingest/demo' })
  expect(await publisher.closed).toMatchObject({ why: 'failed' })
  expect(publisher.stderr().join('\n')).toMatch(/refused/i)
})

test('stopping ends the publisher', async () => {
  await makeNumberedClip({ file: CLIP, ...SHAPE })
  const publisher = await startPublisher({ input: CLIP, url: '-', loop: -1, outputArgs: ['-f', 'null'] })
  expect(publisher.exit).toBeUndefined()
  expect(await publisher.stop()).toMatchObject({ why: 'stopped' })
})

test('HTTP helpers send and read, and fail with a clear message', async () => {
  const server = createServer(async (request, response) => {
    const body = String(await readBody(request))
    response.writeHead(request.url === '/text' ? 404 : 200).end(request.url === '/text' ? 'no' : body)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  expect(await httpJson('POST', `${base}/json`, { body: { a: 1 } })).toMatchObject({ status: 200, json: { a: 1 } })
  expect(await http('GET', `${base}/text`)).toMatchObject({ status: 404, text: 'no' })
  await expect(httpJson('GET', `${base}/text`)).rejects.toThrow(/answered 404 with something that is not JSON: no/)
  server.close()
})
