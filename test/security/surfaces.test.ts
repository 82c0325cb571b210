import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { StreamStatus } from '../../src/stream/status.ts'
import { type Publisher, startPublisher } from '../helpers/media/publish.ts'
import { record } from '../helpers/media/record.ts'
import { descendants } from '../helpers/nothing-left.ts'
import { rawHttp, rawSocket } from '../helpers/raw-http.ts'
import { http, httpJson } from '../helpers/server/http.ts'
import { type Stage, setStage } from '../helpers/server/stage.ts'
import { waitFor } from '../helpers/wait.ts'

const SECRET = 'a secret of more than thirty-two characters'
const AUTH = 'the-static-token-of-the-operator'
const operator = { authorization: `Bearer ${AUTH}` }
const sign = (millrace: object) =>
  new SignJWT({ millrace })
    .setProtectedHeader({ alg: 'HS256' })
    .setExpirationTime('10m')
    .sign(new TextEncoder().encode(SECRET))

/** Surfaces other than media protocols: tokens for single streams, chains, recordings, data, foreign URLs. */
let stage: Stage
let mine: string
let folder: string
let black: ReturnType<typeof createServer>
const held: Socket[] = []
const publishers: Publisher[] = []
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'mr-surfaces-'))
  // A server that accepts connections and never responds.
  black = createServer((socket) => held.push(socket.on('error', () => {}))).listen(0, '127.0.0.1')
  await once(black, 'listening')
  stage = await setStage({
    env: {
      AUTH_TOKEN: AUTH,
      JWT_SECRET: SECRET,
      MAX_STREAMS: '8',
      MAX_SESSIONS_PER_MINUTE: '0',
      MAX_READS_PER_ADDRESS: '0',
      RECORD_DIR: join(folder, 'recordings'),
      ALLOWED_URLS: `http://127.0.0.1:${portOf(black)}`,
      LOG_LEVEL: 'debug',
    },
  })
  mine = await sign({ publish: ['mine'], view: ['mine'] })
  const clip = await stage.clip({ seconds: 240, width: 320, height: 180, fps: 15 })
  const everything = await sign({ admin: true })
  for (const stream of ['mine', 'other']) {
    publishers.push(
      await startPublisher({ input: clip, url: `${stage.url}/ingest/${stream}?pipeline=effects&jwt=${everything}` }),
    )
  }
  for (const stream of ['mine', 'other'])
    await waitFor(`frames of ${stream}`, async () => (await statusOf(stream)).egress?.fps > 0)
}, 240_000)
afterAll(async () => {
  for (const socket of held) socket.destroy()
  await Promise.all(publishers.map((publisher) => publisher.kill()))
  black?.close()
  await stage?.[Symbol.asyncDispose]()
  rmSync(folder, { recursive: true, force: true })
})

const portOf = (server: ReturnType<typeof createServer>) => (server.address() as { port: number }).port
const statusOf = async (stream: string) =>
  (await httpJson<StreamStatus>('GET', `${stage.url}/streams/${stream}`, { headers: operator })).json

describe('a token for one stream', () => {
  it('opens no other stream, however the name is spelled', async () => {
    const before = await statusOf('other')
    const { origin } = new URL(stage.url)
    const aims: [method: string, target: string][] = [
      ['PATCH', '/streams/other/params'],
      ['PATCH', '/streams/mine/../other/params'],
      ['PATCH', '/streams/mine%2F..%2Fother/params'],
      ['PATCH', '/streams/mine/%2e%2e/other/params'],
      ['PATCH', '/streams/%6fther/params'],
      ['PATCH', '/streams/%256fther/params'],
      ['PATCH', '//streams/other/params'],
      ['PATCH', '/./streams/other/params'],
      ['PATCH', '/streams//other/params'],
      ['PATCH', '/streams/other;mine/params'],
      ['PATCH', '/streams/other%00/params'],
      ['PATCH', '/streams\\other\\params'],
      ['PATCH', `${origin}/streams/other/params`],
      ['PATCH', 'http://mine/streams/other/params'],
      ['POST', '/params?stream=other'],
      ['POST', '/params?stream=mine&stream=other'],
      ['POST', '/params?stream=other&stream=mine'],
      ['POST', '/params?stream=mine%26stream%3Dother'],
      ['POST', '/params'],
      ['PUT', '/streams/other/pipeline'],
      ['DELETE', '/streams/other'],
      ['DELETE', '/streams/mine/../other'],
      ['POST', '/streams/other/recordings'],
      ['POST', '/streams/other/outputs'],
      ['POST', '/test-pattern/other'],
      ['POST', '/whip/other'],
      ['POST', '/ingest/other'],
      ['POST', '/ingest/mine/../other'],
      ['POST', '/trickle/other-control/0'],
      ['POST', '/trickle/other%2Dcontrol/0'],
      ['POST', '/trickle/other%252Dcontrol/0'],
      ['POST', '/trickle/mine-control/../other-control/0'],
      ['POST', '/%74rickle/other-control/0'],
      ['POST', `${origin}/trickle/other-control/0`],
      ['DELETE', '/trickle/other-out'],
      ['POST', '/trickle/other/0'],
      ['POST', '/live-video-to-video'],
      ['POST', '/api/params'],
    ]
    for (const [method, target] of aims) {
      for (const [where, headers] of [
        [target, { authorization: `Bearer ${mine}` }],
        [`${target}${target.includes('?') ? '&' : '?'}jwt=${mine}`, {}],
      ] as const) {
        const { status } = await rawHttp(stage.url, method, where, {
          headers: { 'content-type': 'application/json', ...headers },
          body: '{"effect":"invert"}',
        })
        expect(status, `${method} ${target}`).toBeGreaterThanOrEqual(400)
        expect(status, `${method} ${target}`).toBeLessThan(500)
      }
    }
    const after = await statusOf('other')
    expect([after.params, after.publishing, after.pipeline]).toEqual([before.params, true, before.pipeline])
    const own = { headers: { authorization: `Bearer ${mine}` }, body: { effect: 'edges' } }
    expect((await http('PATCH', `${stage.url}/streams/mine/params`, own)).status).toBe(200)
  })

  it('views no other stream', async () => {
    const aims = [
      ...['/streams/other', '/streams/other/params', '/streams/other/history', '/streams/other/events'],
      ...[
        '/out/other.jpg',
        '/out/other.ts',
        '/out/other.jsonl',
        '/out/mine.ts/../other.jpg',
        '/out/mine%2F..%2Fother.jpg',
      ],
      ...['/out/%6fther.jpg', '//out/other.jpg', '/out/other.jpg?x=/out/mine.jpg', '/out//other.jpg'],
      ...['/trickle/other-out/next', '/trickle/other-out/-1', '/trickle/other%2Dout/-1', '/trickle/other-data/-1'],
      ...['/streams', '/recordings', '/metrics', '/streams/other/recordings', '/streams/other/outputs'],
      '/recordings/other-20260101T000000000Z.mp4',
      '/recordings/mine-20260101T000000000Z.mp4/../other-20260101T000000000Z.mp4',
    ]
    for (const target of aims) {
      const { status } = await rawHttp(stage.url, 'GET', `${target}${target.includes('?') ? '&' : '?'}jwt=${mine}`)
      expect([401, 403, 404], `${target}: ${status}`).toContain(status)
    }
    expect((await http('GET', `${stage.url}/out/mine.jpg?jwt=${mine}`)).status).toBe(200)
  })

  it('no token in a URL reaches the log', () => {
    expect(stage.server.logs.text).not.toContain(mine.split('.')[2])
  })
})

describe('paths', () => {
  it('invalid, too long or badly encoded ones are refused, and none reaches a file', async () => {
    const { json } = await httpJson<{ paths: Record<string, object> }>('GET', `${stage.url}/openapi.json`)
    const odd = [
      '%',
      '%zz',
      '%ff%fe',
      '%00',
      '..%2f..%2f..%2fetc%2fpasswd',
      '%2e%2e%2f',
      '..%5c..',
      'a'.repeat(9000),
      '%u0041',
      '\u{1f4a9}',
    ]
    const answers = new Map<string, number>()
    for (const path of Object.keys(json.paths).filter((one) => one.includes('{'))) {
      for (const text of odd) {
        const target = Buffer.from(path.replaceAll(/\{[^}]+\}/g, text)).toString('latin1')
        const { status, text: said } = await rawHttp(stage.url, 'GET', target, { headers: operator })
        answers.set(`${path} ${text.slice(0, 20)}`, status)
        expect(said).not.toMatch(/root:x:|\/src\/|node_modules/)
      }
    }
    expect([...answers].filter(([, status]) => status < 400 || status >= 500)).toEqual([])
    for (const target of [
      '/../package.json',
      '/%2e%2e/package.json',
      '/..%2fpackage.json',
      '/client/..%2f..%2fpackage.json',
      '/.env',
      '/%2e%2e%2f.env',
    ])
      expect((await rawHttp(stage.url, 'GET', target, { headers: operator })).status, target).toBeGreaterThanOrEqual(
        400,
      )
  }, 120_000)
})

describe('chains', () => {
  it('are limited in length, and requesting them does not start a process each', async () => {
    const names = (count: number, name = 'noop') => Array(count).fill(name).join(',')
    for (const chain of [
      names(9),
      names(2000),
      `${','.repeat(100)}`,
      'noop,',
      ',noop',
      'noop,,noop',
      names(2000, 'nothing'),
    ]) {
      const query = `pipeline=${encodeURIComponent(chain)}`
      const { status } = await http('POST', `${stage.url}/ingest/chain?${query}`, { headers: operator, body: 'G' })
      expect([400, 404, 431], `${chain.slice(0, 30)}: ${status}`).toContain(status)
      const asked = await http('GET', `${stage.url}/pipelines/${encodeURIComponent(chain)}`, { headers: operator })
      expect([400, 404, 431]).toContain(asked.status)
    }
    expect((await http('GET', `${stage.url}/pipelines/noop,effects`, { headers: operator })).status).toBe(200)
    const before = descendants(stage.server.pid).length
    const asked = await Promise.all(
      Array.from({ length: 200 }, (_, n) =>
        http('GET', `${stage.url}/pipelines/${['noop', 'effects', 'noop', 'effects'].slice(n % 4).join(',')}`, {
          headers: operator,
        }),
      ),
    )
    expect(new Set(asked.map(({ status }) => status))).toEqual(new Set([200]))
    expect(descendants(stage.server.pid).length).toBeLessThanOrEqual(before + 1)
  })

  it('a flood of pipeline changes does not start a runner each', async () => {
    const headers = { authorization: `Bearer ${mine}` }
    const before = descendants(stage.server.pid).length
    let most = 0
    const look = setInterval(() => {
      most = Math.max(most, descendants(stage.server.pid).length)
    }, 20)
    const answers = await Promise.all(
      Array.from({ length: 60 }, (_, n) =>
        http('PUT', `${stage.url}/streams/mine/pipeline`, {
          headers,
          body: { pipeline: n % 2 ? 'noop' : 'effects' },
          limitMs: 60_000,
        }),
      ),
    )
    clearInterval(look)
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200, 409]))
    expect(most - before).toBeLessThanOrEqual(8)
    await waitFor('the end of those that were not needed', () => descendants(stage.server.pid).length <= before + 2)
    expect((await statusOf('mine')).dropped).toMatchObject({ failed: 0 })
  }, 120_000)
})

describe('recordings', () => {
  it('are addressed by name only, and slow readers are disconnected', async () => {
    const url = `${stage.url}/streams/mine/recordings`
    const { json } = await httpJson<{ id: string }>('POST', url, { headers: operator, body: {} })
    const files = await waitFor('a file', async () => {
      const { json } = await httpJson<{ file: string; bytes: number }[]>('GET', `${stage.url}/recordings`, {
        headers: operator,
      })
      return json.some(({ bytes }) => bytes > 0) && json
    })
    const { file } = files[0]!
    for (const target of [
      `../recordings/${file}`,
      `${file}/`,
      `${file}%00`,
      `./${file}%2f..%2f${file}`,
      `%2e%2e%2f${file}`,
      file.toUpperCase(),
      `${file}.mp4`,
    ]) {
      const { status } = await rawHttp(stage.url, 'GET', `/recordings/${target}`, { headers: operator })
      // Dot segments in a URL are resolved by the client already.
      if (!target.startsWith('../')) expect([400, 404, 405], `${target}: ${status}`).toContain(status)
    }
    const ranges = ['bytes=0-0,'.repeat(500), 'bytes=9999999999999-', 'bytes=-0', 'bytes=5-1', 'bytes=a-b', 'lines=1-2']
    for (const range of ranges) {
      const { status } = await http('GET', `${stage.url}/recordings/${file}`, { headers: { ...operator, range } })
      expect([200, 206, 416], `${range.slice(0, 20)}: ${status}`).toContain(status)
    }
    await http('DELETE', `${url}/${json.id}`, { headers: operator })
    expect(existsSync(join(folder, 'recordings', file))).toBe(true)
  })
})

describe('foreign URLs', () => {
  it('that point at this machine or carry ffmpeg options are refused', async () => {
    const urls = [
      ...[
        'http://127.0.0.1/x',
        'http://localhost/x',
        'http://[::1]/x',
        'http://0/x',
        'http://0x7f.1/x',
        'http://2130706433/x',
      ],
      ...[
        'http://[::ffff:127.0.0.1]/x',
        'http://[64:ff9b::7f00:1]/x',
        'http://169.254.169.254/latest',
        'http://127.1/x',
      ],
      ...[
        'rtsp://127.0.0.1/x',
        'rtmp://localhost/app/x',
        'srt://127.0.0.1:9000',
        'rtsp://[::1]:8554/x',
        'rtsps://0:322/x',
      ],
      ...[
        'srt://8.8.8.8:9000?mode=listener',
        'srt://8.8.8.8:9000?mode=rendezvous',
        'srt://8.8.8.8:9000?localaddr=1.2.3.4',
      ],
      ...[
        'file:///etc/passwd',
        'concat:/etc/passwd',
        'pipe:0',
        'data:video/mp2t,G',
        'gopher://8.8.8.8/x',
        'javascript:1',
        '',
      ],
      ...['rtmp://8.8.8.8/x', 'rtsp://8.8.8.8/x#y', 'srt://8.8.8.8', 'rtsp://', 'rtsp:x', `http://8.8.8.8@127.0.0.1/`],
      'rtsp://127.0.0.1%2f@8.8.8.8/x'.replace('8.8.8.8', 'localhost'),
    ]
    for (const url of urls) {
      for (const [path, body] of [
        ['/streams', { name: 'pulled', input: { url, ...(url.startsWith('http') && { type: 'mpegts' }) } }],
        ['/streams/mine/outputs', { url, ...(url.startsWith('http') && { type: 'whip' }) }],
      ] as const) {
        const { status, json } = await httpJson('POST', `${stage.url}${path}`, { headers: operator, body })
        expect(status, `${path} ${url}: ${JSON.stringify(json)}`).toBe(400)
      }
    }
    expect(
      (await httpJson<{ name: string }[]>('GET', `${stage.url}/streams`, { headers: operator })).json
        .map(({ name }) => name)
        .sort(),
    ).toEqual(['mine', 'other'])
  })

  it('of servers that never answer: at most sixteen per stream, and they end with it', async () => {
    const body = { type: 'whip', url: `http://127.0.0.1:${portOf(black)}/whip` }
    const statuses = []
    for (let n = 0; n < 20; n++)
      statuses.push((await http('POST', `${stage.url}/streams/mine/outputs`, { headers: operator, body })).status)
    expect(statuses.filter((status) => status === 201)).toHaveLength(16)
    expect(statuses.slice(16)).toEqual([503, 503, 503, 503])
  })
})

describe('clients that do not read or close one direction only', () => {
  it('count as viewers only while they are connected', async () => {
    const get = (path: string) => `GET ${path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${AUTH}\r\n\r\n`
    const paths = [
      '/out/mine.ts',
      '/out/mine.jsonl',
      '/streams/mine/events',
      '/trickle/mine-out/next',
      '/trickle/mine-control/0',
    ]
    const sockets = paths.flatMap((path) =>
      Array.from({ length: 10 }, (_, n) => {
        const socket = rawSocket(stage.url).on('error', () => {})
        // Reads nothing; every other client also closes its sending side.
        socket.pause()
        socket.write(get(path))
        if (n % 2) socket.end()
        return socket
      }),
    )
    await waitFor('the viewers', async () => (await statusOf('mine')).egress.viewers >= 5)
    // The stream is not slowed down.
    await using watching = await record(`${stage.url}/out/mine.ts`, operator)
    await waitFor('frames', () => watching.bytes().length > 50_000)
    for (const socket of sockets) socket.destroy()
    watching.stop()
    await waitFor('nobody', async () => (await statusOf('mine')).egress.viewers === 0)
  })

  it('requests that do not wait for their response block no other request', async () => {
    const one = `GET /health HTTP/1.1\r\nhost: ${new URL(stage.url).host}\r\n\r\n`
    const flood = Array.from({ length: 4 }, () =>
      rawSocket(stage.url)
        .on('error', () => {})
        .resume(),
    )
    const ended = flood.map((socket) => new Promise((resolve) => socket.once('close', resolve)))
    for (const socket of flood) socket.write(one.repeat(20_000))
    expect((await http('GET', `${stage.url}/health`)).status).toBe(200)
    await Promise.all(ended)

    let text = ''
    const few = rawSocket(stage.url).on('data', (chunk) => {
      text += chunk
    })
    few.write(one.repeat(5))
    await waitFor('five answers', () => text.match(/HTTP\/1.1 200 OK/g)?.length === 5)
    few.destroy()
  })
})

it('none of this was a server error', () => {
  expect(stage.server.logs.lines.filter(({ level }) => Number(level) >= 50)).toEqual([])
  expect(stage.server.logs.text).not.toMatch(/uncaught|unhandled/i)
})
