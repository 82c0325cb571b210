import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { rawHttp } from '../helpers/raw-http.ts'
import { startServer, type TestServer } from '../helpers/server/server.ts'

/** Without a token: names by which a page elsewhere could be of the same origin as the server (DNS rebinding). */
let server: TestServer
let port: string
beforeAll(async () => {
  server = await startServer({ env: { WARM_PIPELINES: '0' } })
  port = new URL(server.url).port
})
afterAll(() => server?.stop())

const ask = async (host: string, headers: Record<string, string> = {}, method = 'GET', target = '/streams') =>
  (await rawHttp(server.url, method, target, { host, headers })).status

describe('a server without a token', () => {
  it.each([
    '127.999.1.1',
    '127.0.0.256',
    '127.1',
    '127.0.0.1.',
    '127.0.0.01',
    '127.0.0.0x1',
    '0177.0.0.1',
    '0x7f.0.0.1',
    '2130706433',
    '127.0.0.1.evil.example',
    '127.evil.example',
    'localhost.',
    'localhost.evil.example',
    'evil.example/.localhost',
    'evil.example?.localhost',
    'evil.example#.localhost',
    'evil.example@.localhost',
    '.localhost',
    'localhost@evil.example',
    'evil.example#localhost',
    'evil.example:1@localhost',
    'evil.example,localhost',
    'localhost,evil.example',
    'evil.example localhost',
    'xlocalhost',
    '[::1].evil.example',
    '[::1%25lo]',
    '[::ffff:127.0.0.1]',
    '[::]',
    '0.0.0.0',
    '::1',
    '',
  ])('does not answer as "%s"', async (host) => {
    for (const name of [host, `${host}:${port}`]) {
      for (const target of ['/streams', '/metrics', '/openapi.json', '/']) {
        const status = await ask(name, {}, 'GET', target)
        expect([400, 401, 403], `${name} ${target}: ${status}`).toContain(status)
      }
      const status = await ask(name, { 'content-length': '0' }, 'POST', '/test-pattern/demo')
      expect([400, 401, 403], `${name}: ${status}`).toContain(status)
    }
  })

  it.each(['localhost', 'LOCALHOST', 'demo.localhost', '127.0.0.1', '127.255.255.254', '[::1]'])(
    'answers as %s, with its port and without',
    async (host) => {
      for (const name of [host, `${host}:${port}`]) expect(await ask(name)).toBe(200)
    },
  )

  it('goes by the Host of the request alone', async () => {
    const names = ['x-forwarded-host', 'x-host', 'x-original-host', 'x-http-host-override', 'forwarded']
    for (const name of names) {
      const value = name === 'forwarded' ? 'host=localhost' : 'localhost'
      expect(await ask('evil.example', { [name]: value }), name).not.toBe(200)
    }
    expect(await ask('evil.example', {}, 'GET', `http://localhost:${port}/streams`)).not.toBe(200)
    expect(await ask('evil.example', { Host: 'localhost' })).not.toBe(200)
    expect(await ask('localhost', { Host: 'evil.example' })).not.toBe(200)
  })

  it('starts nothing for a page that comes from elsewhere, whatever it calls itself', async () => {
    const origins = [
      'null',
      'http://evil.example',
      'http://localhost.evil.example',
      `http://127.999.1.1:${port}`,
      'http://127.0.0.1@evil.example',
      `http://localhost:${Number(port) + 1}`,
      'file://',
      'localhost',
    ]
    for (const origin of origins) {
      const status = await ask('localhost', { origin, 'content-length': '0' }, 'POST', '/test-pattern/demo')
      expect([401, 403], `${origin}: ${status}`).toContain(status)
    }
    for (const site of ['cross-site', 'same-site', 'Same-Origin ', 'x']) {
      const headers = { 'sec-fetch-site': site, 'content-length': '0' }
      const status = await ask('localhost', headers, 'POST', '/test-pattern/demo')
      if (site.trim().toLowerCase() !== 'same-origin') expect([401, 403], `${site}: ${status}`).toContain(status)
    }
    expect(server.logs.complaints.filter(({ level }) => level >= 50)).toEqual([])
  })
})
