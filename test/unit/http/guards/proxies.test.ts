import { expect, it } from 'vitest'
import { TrustedProxies } from '../../../../src/http/guards/proxies.ts'

it('trusts the client address of trusted proxies only', () => {
  const proxies = new TrustedProxies(['127.0.0.1', '10.0.0.0/8', '::1', '2001:db8::/32'])
  const of = (peer: string | undefined, forwarded?: string) => proxies.clientAddress(peer, forwarded)
  expect(of('127.0.0.1', '1.1.1.1, 203.0.113.9:5000')).toBe('203.0.113.9')
  expect(of('::ffff:127.0.0.1', '203.0.113.9')).toBe('203.0.113.9')
  expect(of('127.0.0.1', '1.1.1.1, 203.0.113.9, 10.4.5.6')).toBe('203.0.113.9')
  expect(of('2001:db8::5', '"[2001:db9::1]:80"')).toBe('2001:db9::1')
  expect(of('127.0.0.1', '1.1.1.1, garbage')).toBe('127.0.0.1')
  expect(of('127.0.0.1')).toBe('127.0.0.1')
  expect(of('198.51.100.7', '1.1.1.1')).toBe('198.51.100.7')
  expect(of(undefined, '1.1.1.1')).toBe('local')
  expect(new TrustedProxies([]).clientAddress('127.0.0.1', '1.1.1.1')).toBe('127.0.0.1')
})

it.each(['10.0.0.0/33', 'proxy', '10.0.0.0/8/8', '10.0.0', '::1/129', '/8', '10.0.0.0/x'])('%s is refused', (cidr) => {
  expect(() => new TrustedProxies([cidr])).toThrow(TypeError)
})
