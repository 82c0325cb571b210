import { createServer } from 'node:http'
import type { AddressInfo, LookupFunction } from 'node:net'
import { describe, expect, it, onTestFinished, test } from 'vitest'
import { isPublicAddress, UrlGuard } from '../../../src/core/url-guard.ts'
import { TrickleClient } from '../../../src/trickle/client/http.ts'

const names: Record<string, string[]> = {
  'public.example': ['93.184.216.34', '2606:2800:21f:cb07::1'],
  'private.example': ['10.1.2.3'],
  'mixed.example': ['93.184.216.34', '127.0.0.1'],
  'metadata.example': ['169.254.169.254'],
}
let lookups = 0
const guard = new UrlGuard({
  allowed: ['http://10.0.0.5:8935', 'https://private.example'],
  verifyTls: false,
  resolve: async (host) => {
    lookups++
    const addresses = names[host]
    if (!addresses) throw new Error('ENOTFOUND')
    return addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))
  },
})

describe('isPublicAddress', () => {
  it.each([
    '8.8.8.8',
    '93.184.216.34',
    '172.15.255.255',
    '172.32.0.1',
    '100.128.0.1',
    '2606:4700::1111',
    '2a00:1450::1',
  ])('%s is', (address) => expect(isPublicAddress(address)).toBe(true))

  it.each([
    '0.0.0.0',
    '10.255.255.255',
    '100.100.100.200',
    '127.0.0.1',
    '127.255.255.254',
    '168.63.129.16',
    '169.254.169.254',
    '172.16.0.1',
    '172.31.255.255',
    '192.0.0.192',
    '192.168.1.1',
    '198.18.0.1',
    '203.0.113.9',
    '224.0.0.1',
    '240.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    '::ffff:127.0.0.1',
    '::ffff:8.8.8.8',
    '64:ff9b::7f00:1',
    '2001:0:1::1',
    '2001:db8::1',
    '2002:7f00:1::',
    'fc00::1',
    'fd00:ec2::254',
    'fe80::1',
    'ff02::1',
    'localhost',
    '',
  ])('%j is not', (address) => expect(isPublicAddress(address)).toBe(false))
})

describe('the guard', () => {
  it.each([
    'http://93.184.216.34/ai/trickle/one',
    'https://public.example:8935/one',
    'http://10.0.0.5:8935/ai/trickle/one',
    'https://private.example/one',
    'http://user:secret@public.example/one',
  ])('lets %s through', async (url) => {
    await expect(guard.check(url, 'subscribeUrl')).resolves.toMatchObject({ url, rejectUnauthorized: false })
  })

  it.each([
    ['http://127.0.0.1:8000/one', /subscribeUrl names 127\.0\.0\.1.*http:\/\/127\.0\.0\.1:8000 in ALLOWED_URLS/],
    ['http://10.0.0.5/one', /10\.0\.0\.5/],
    ['https://10.0.0.5:8935/one', /10\.0\.0\.5/],
    ['http://0x7f.1/one', /127\.0\.0\.1/],
    ['http://2130706433/one', /127\.0\.0\.1/],
    ['http://[::1]:8000/one', /::1/],
    ['http://[::ffff:127.0.0.1]/one', /not on the public internet/],
    ['http://169.254.169.254/latest/meta-data', /not on the public internet/],
    ['http://private.example/one', /not on the public internet/],
    ['http://mixed.example/one', /not on the public internet/],
    ['http://metadata.example/one', /not on the public internet/],
    ['http://10.0.0.5:8935@127.0.0.1/one', /127\.0\.0\.1/],
    ['http://nowhere.example/one', /has no address/],
    ['file:///etc/passwd', /http:\/\/ or https:\/\//],
    ['ftp://93.184.216.34/one', /http:\/\/ or https:\/\//],
    ['one', /http:\/\/ or https:\/\//],
    ['', /http:\/\/ or https:\/\//],
  ])('refuses %s', async (url, message) => {
    const error = await guard.check(url, 'subscribeUrl').catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'invalid-request', issues: [{ path: ['subscribeUrl'] }] })
    expect(String(error)).toMatch(message)
  })

  test('resolves a name once, and clients connect to what was looked at', async () => {
    lookups = 0
    const { lookup } = await guard.check('http://public.example/one', 'url')
    expect(lookups).toBe(1)
    const ask = (options: Parameters<LookupFunction>[1]) =>
      new Promise<unknown[]>((resolve) => lookup?.('public.example', options, (...answer) => resolve(answer)))
    expect(await ask({ all: true })).toEqual([
      null,
      [
        { address: '93.184.216.34', family: 4 },
        { address: '2606:2800:21f:cb07::1', family: 6 },
      ],
    ])
    expect(await ask({ family: 6 })).toEqual([null, '2606:2800:21f:cb07::1', 6])
    expect(await ask({ family: 'IPv4' })).toEqual([null, '93.184.216.34', 4])
    expect(lookups).toBe(1)
  })

  test('nobody follows a redirect to what it refuses', async () => {
    let asked = 0
    const server = createServer((request, response) => {
      asked++
      response.writeHead(request.url === '/one/next' ? 302 : 200, { location: '/secret' }).end()
    })
    server.listen(0, '127.0.0.1')
    onTestFinished(() => void server.close())
    await new Promise((resolve) => server.once('listening', resolve))
    const client = new TrickleClient({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/one` })
    const answer = await client.call('GET', '/next', {}, 5000)
    client.destroy()
    expect(answer.status).toBe(302)
    expect(client.refusal(answer).message).toContain('redirects are not followed')
    expect(asked).toBe(1)
  })
})
