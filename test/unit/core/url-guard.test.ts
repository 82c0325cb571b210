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
  allowed: ['http://10.0.0.5:8935', 'https://private.example', 'rtsp://10.0.0.7:554', 'srt://private.example:9000'],
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
  ])('%s is public', (address) => expect(isPublicAddress(address)).toBe(true))

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
  ])('admits %s', async (url) => {
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

  test('resolves a name once, and clients connect to the address checked', async () => {
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

  test('no client follows a redirect to a refused address', async () => {
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

describe('the guard of media servers', () => {
  const SCHEMES = ['rtsp', 'rtsps', 'rtmp', 'srt']

  it.each([
    ['rtsp://93.184.216.34/live', '93.184.216.34', 554],
    ['rtmp://user:pw@PUBLIC.example/app/key', '93.184.216.34', 1935],
    ['rtsps://[2606:4700::1111]:8322/x', '2606:4700::1111', 8322],
    ['rtsp://10.0.0.7/door', '10.0.0.7', 554],
    ['srt://private.example:9000?streamid=x', '10.1.2.3', 9000],
  ])('admits %s, at its address', async (url, address, port) => {
    await expect(guard.checkMedia(url, 'input.url', SCHEMES)).resolves.toMatchObject({ address, port })
  })

  it.each([
    ['rtsp://10.0.0.8/live', /names 10\.0\.0\.8.*rtsp:\/\/10\.0\.0\.8:554 in ALLOWED_URLS/],
    ['rtsp://10.0.0.7:8554/door', /10\.0\.0\.7/],
    ['rtsp://mixed.example/x', /not on the public internet/],
    ['rtmp://127.0.0.1/app/key', /127\.0\.0\.1/],
    ['rtsp://[::1]/x', /not on the public internet/],
    ['srt://public.example', /names no port/],
    ['srt://public.example:9000?streamid=#!::r=x', /%23/],
    ['rtsp:///x', /rtsp:\/\//],
    ['http://public.example/x', /rtsp:\/\//],
    ['file:///etc/passwd', /rtsp:\/\//],
    ['concat:rtsp://public.example/x', /rtsp:\/\//],
    ['concat:/etc/passwd|/etc/hosts', /rtsp:\/\//],
    ['subfile,,start,0,end,0,,:/etc/passwd', /rtsp:\/\//],
    ['crypto:rtsp://public.example/x', /rtsp:\/\//],
    ['crypto+rtsp://public.example/x', /rtsp:\/\//],
    ['tee:rtsp://public.example/x', /rtsp:\/\//],
    ['pipe:0', /rtsp:\/\//],
    ['srt://:9000', /rtsp:\/\//],
    ['rtsp://[::ffff:127.0.0.1]/x', /not on the public internet/],
    ['rtsp://[::ffff:a00:1]/x', /not on the public internet/],
    ['rtsp://[64:ff9b::a00:1]/x', /not on the public internet/],
    ['rtsp://[fe80::1]/x', /not on the public internet/],
    ['rtsp://10.0.0.7@127.0.0.1/door', /127\.0\.0\.1/],
    ['rtsp://10.0.0.7#@public.example/door', /"#"/],
    ['rtsp://10.0.0.7:554@mixed.example/door', /not on the public internet/],
  ])('refuses %s', async (url, message) => {
    const error = await guard.checkMedia(url, 'input.url', SCHEMES).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'invalid-request', issues: [{ path: ['input', 'url'] }] })
    expect(String(error)).toMatch(message)
  })

  // The URL parser normalises addresses for http only; the system parses those of media schemes in the same ways.
  it.each(['0x7f000001', '0x7f.1', '0177.0.0.1', '2130706433', '127.1', '0', 'localhost', 'LOCALHOST', 'localhost.'])(
    'refuses loopback in the spelling of the system, %s',
    async (host) => {
      const system = new UrlGuard({ allowed: ['rtsp://127.0.0.1:554'], verifyTls: true })
      for (const scheme of ['rtsp', 'rtmps', 'srt']) {
        const checking = system.checkMedia(`${scheme}://${host}:9000/live/x`, 'url', ['rtsp', 'rtmps', 'srt'])
        await expect(checking).rejects.toThrow(/not on the public internet|which has no address/)
      }
    },
  )

  test('a name that resolves differently the second time is refused, and the first address is used', async () => {
    let looks = 0
    const turning = new UrlGuard({
      allowed: [],
      verifyTls: true,
      resolve: async () => [{ address: looks++ === 0 ? '93.184.216.34' : '10.0.0.1', family: 4 }],
    })
    const target = await turning.checkMedia('rtsp://turning.example/x', 'url', SCHEMES)
    expect([target.address, looks]).toEqual(['93.184.216.34', 1])
    await expect(turning.checkMedia('rtsp://turning.example/x', 'url', SCHEMES)).rejects.toThrow(/not on the public/)
  })

  test('for an allowed host any address may be reached, for other public ones only public addresses', () => {
    const reaches = (url: string, address: string) => guard.reaches(url, address)
    expect(reaches('rtsp://10.0.0.7/door', '10.9.9.9')).toBe(true)
    expect(reaches('https://93.184.216.34/live', '10.9.9.9')).toBe(false)
    expect(reaches('https://93.184.216.34/live', '8.8.8.8')).toBe(true)
  })
})
