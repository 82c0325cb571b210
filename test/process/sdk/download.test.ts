import { createHash } from 'node:crypto'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { download } from 'millrace/pipeline'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

const CONTENT = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * 31) % 251))
const SHA256 = createHash('sha256').update(CONTENT).digest('hex')

type Handler = (request: IncomingMessage, response: ServerResponse, count: number) => void
type Line = { message: string; fields: Record<string, unknown> }

let folder: string
let lines: Line[]
let requests: (string | undefined)[]
let close: () => Promise<void>
let url: string

const write = (fields: object | string, message = '') => void lines.push({ message, fields: fields as Line['fields'] })
const log = { info: write, debug: write, warn: write, error: write, child: () => log }
const context = (signal = new AbortController().signal) => ({ modelDir: folder, log, signal })
const options = (more = {}) => ({ url, file: 'models/m.bin', sha256: SHA256, ...more })
const target = () => join(folder, 'models/m.bin')

async function serve(handler: Handler): Promise<void> {
  const server = createServer((request, response) => {
    requests.push(request.headers.range)
    handler(request, response, requests.length)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/m.bin`
  close = () =>
    new Promise((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
}

/** The content, or the requested rest of it. */
const whole: Handler = ({ headers }, response) => {
  const from = Number(/bytes=(\d+)-/.exec(headers.range ?? '')?.[1] ?? 0)
  const body = CONTENT.subarray(from)
  const range = from > 0 ? { 'content-range': `bytes ${from}-${CONTENT.length - 1}/${CONTENT.length}` } : {}
  response.writeHead(from > 0 ? 206 : 200, { 'content-length': body.length, ...range }).end(body)
}

/** Sends the first part, then breaks the connection when the client has received most of it. */
const broken: Handler = (_, response) => {
  response.writeHead(200, { 'content-length': CONTENT.length })
  response.write(CONTENT.subarray(0, 100_000), () => setTimeout(() => response.destroy(), 300))
}

/** Unread data is lost with the connection, so the size kept varies. */
function expectResumed(range: string | undefined): void {
  const from = Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1])
  expect(from).toBeGreaterThan(0)
  expect(from).toBeLessThanOrEqual(100_000)
}

const answer =
  (status: number): Handler =>
  (_, response) =>
    response.writeHead(status).end('no')

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mr-download-'))
  lines = []
  requests = []
  close = async () => {}
})
afterEach(async () => {
  await close()
  rmSync(folder, { recursive: true, force: true })
})

test('a file is downloaded whole with progress, and not again', async () => {
  await serve(whole)
  expect(await download(options(), context())).toBe(target())
  expect(readFileSync(target()).equals(CONTENT)).toBe(true)
  expect(readdirSync(join(folder, 'models')).sort()).toEqual(['m.bin', 'm.bin.sha256'])
  expect(lines.at(-1)).toMatchObject({
    message: 'downloaded',
    fields: { download: 'models/m.bin', bytes: CONTENT.length, totalBytes: CONTENT.length },
  })
  await close()
  expect(await download(options(), context()), 'without a network').toBe(target())
  expect(requests).toHaveLength(1)
})

test('an interrupted download resumes where it ended', async () => {
  await serve((request, response, count) => (count === 1 ? broken : whole)(request, response, count))
  await download(options(), context())
  expect(requests).toHaveLength(2)
  expectResumed(requests[1])
  expect(readFileSync(target()).equals(CONTENT)).toBe(true)
  expect(lines.map(({ message }) => message)).toContain('the download broke off; trying again')
})

test('also in the next process', async () => {
  await serve(broken)
  const controller = new AbortController()
  const first = download(options(), context(controller.signal))
  while (!lines.some(({ message }) => message.startsWith('the download broke off'))) await new Promise(setImmediate)
  controller.abort()
  await expect(first).rejects.toThrow('could not download models/m.bin: it was broken off')
  expect(existsSync(target())).toBe(false)
  await close()
  await serve(whole)
  await download(options(), context())
  expectResumed(requests.at(-1))
  expect(readFileSync(target()).equals(CONTENT)).toBe(true)
})

test('a server without range requests sends it all again', async () => {
  await serve((request, response, count) => {
    if (count > 1) delete request.headers.range
    ;(count === 1 ? broken : whole)(request, response, count)
  })
  await download(options(), context())
  expect(readFileSync(target()).equals(CONTENT)).toBe(true)
})

test('a partial file of something else is discarded', async () => {
  await serve(whole)
  const part = `${target()}.${SHA256.slice(0, 12)}.part`
  await download(options(), context())
  rmSync(target())
  writeFileSync(part, 'x'.repeat(1000))
  await download(options(), context())
  expect(requests).toEqual([undefined, 'bytes=1000-', undefined])
  expect(readFileSync(target()).equals(CONTENT)).toBe(true)
})

test('a file with another checksum is never installed', async () => {
  await serve(whole)
  const wrong = SHA256.replace(/^./, (c) => (c === '0' ? '1' : '0'))
  await expect(download(options({ sha256: wrong }), context())).rejects.toThrow(
    `could not download models/m.bin: its SHA-256 is ${SHA256}, not ${wrong}`,
  )
  expect(readdirSync(join(folder, 'models'))).toEqual([])
})

test('a file changed or added manually is verified', async () => {
  await serve(whole)
  await download(options(), context())
  writeFileSync(target(), 'other')
  await download(options(), context())
  expect(readFileSync(target()).equals(CONTENT)).toBe(true)
  expect(requests).toHaveLength(2)
  rmSync(`${target()}.sha256`)
  await download(options(), context())
  expect(requests).toHaveLength(2)
})

test('concurrent downloads fetch once', async () => {
  await serve(whole)
  const all = await Promise.all(Array.from({ length: 4 }, () => download(options(), context())))
  expect(new Set(all)).toEqual(new Set([target()]))
  expect(requests).toHaveLength(1)
})

test('a lock of an exited process does not block it', async () => {
  await serve(whole)
  await download(options(), context())
  rmSync(target())
  writeFileSync(`${target()}.lock`, '4194304')
  await download(options(), context())
  expect(existsSync(`${target()}.lock`)).toBe(false)
})

describe('an error is reported', () => {
  test('for a refusal, at once', async () => {
    await serve(answer(404))
    await expect(download(options(), context())).rejects.toThrow('the server answered 404 Not Found')
    expect(requests).toHaveLength(1)
  })

  test('for a temporary error, after some attempts', async () => {
    await serve(answer(503))
    await expect(download(options({ attempts: 2 }), context())).rejects.toThrow(
      'the server answered 503 Service Unavailable (2 times)',
    )
    expect(requests).toHaveLength(2)
  })

  test('for a server that falls silent', async () => {
    await serve((_, response) => {
      response.writeHead(200, { 'content-length': 10 })
      response.write('12345')
    })
    await expect(download(options({ idleMs: 100, attempts: 1 }), context())).rejects.toThrow('no byte came for 100 ms')
  })

  test('for an unreachable server', async () => {
    await serve(whole)
    await close()
    await expect(download(options({ attempts: 1 }), context())).rejects.toThrow(/fetch failed: .*ECONNREFUSED/)
  })

  test.each([
    [{ file: '../x' }, 'it lies outside of modelDir'],
    [{ file: '/etc/x' }, undefined],
    [{ file: '' }, 'it lies outside of modelDir'],
    [{ sha256: 'abc' }, 'sha256 must be 64 hexadecimal digits'],
    [{ url: 'file:///etc/passwd', attempts: 1 }, 'fetch failed'],
  ])('%j', async (more, message) => {
    await serve(whole)
    const result = download(options(more), context())
    if (message) await expect(result).rejects.toThrow(message)
    else expect(await result).toBe(join(folder, 'etc/x'))
  })
})
