import { describe, expect, it } from 'vitest'
import {
  isForwardedFromAfar,
  isLoopbackAddress,
  isLoopbackName,
  isUnregistrableName,
  originHost,
} from '../../../../src/http/guards/client-address.ts'

describe('the origin of a request', () => {
  it.each([
    ['localhost', true],
    ['LOCALHOST:8000', true],
    ['demo.localhost:8000', true],
    ['127.0.0.1', true],
    ['127.8.9.1:80', true],
    ['[::1]:8000', true],
    ['localhost.evil.example', false],
    ['evil.example/.localhost', false],
    ['evil.example@.localhost', false],
    ['.localhost', false],
    ['127.0.0.1.evil.example', false],
    ['127.999.1.1', false],
    ['127.1', false],
    ['127.evil.example', false],
    ['0.0.0.0', false],
    ['192.168.1.5:8000', false],
    ['', false],
  ])('host name %s is this machine: %s', (name, expected) => {
    expect(isLoopbackName(name)).toBe(expected)
  })

  it.each([
    ['192.168.1.5:8000', true],
    ['203.0.113.9', true],
    ['[2001:db8::1]:8000', true],
    ['gpu-box:8000', true],
    ['studio.local', true],
    ['box.lan:8000', true],
    ['localhost', true],
    ['rebound.example:8000', false],
    ['1.2.3.4.nip.io', false],
    ['evil.example.', false],
  ])('%s cannot belong to another machine: %s', (name, expected) => {
    expect(isUnregistrableName(name)).toBe(expected)
  })

  it.each([
    ['127.0.0.1', true],
    ['::1', true],
    ['::ffff:127.0.0.1', true],
    [undefined, true],
    ['::ffff:10.0.0.1', false],
    ['10.0.0.1', false],
    ['fe80::1', false],
    ['localhost', false],
  ])('peer %s is this machine: %s', (address, expected) => {
    expect(isLoopbackAddress(address)).toBe(expected)
  })

  it.each([
    [{}, false],
    [{ 'x-forwarded-for': '127.0.0.1' }, false],
    [{ 'x-forwarded-for': '8.8.8.8, 127.0.0.1' }, true],
    [{ 'x-forwarded-for': '127.0.0.1, 8.8.8.8' }, true],
    [{ 'x-real-ip': '10.1.2.3' }, true],
    [{ forwarded: 'for=127.0.0.1;proto=https' }, false],
    [{ forwarded: 'proto=https; For="[2001:db8::1]:4711"' }, true],
    [{ forwarded: 'for="[::1]:80", for=unknown' }, true],
    [{ 'x-forwarded-for': 'garbage' }, true],
  ])('proxied by %j is remote: %s', (headers, expected) => {
    expect(isForwardedFromAfar(headers as Record<string, string>)).toBe(expected)
  })

  it('parses origins', () => {
    expect(originHost('http://Localhost:3000')).toBe('localhost:3000')
    expect(originHost('https://example.org:443')).toBe('example.org')
    expect(originHost('null')).toBe('')
  })
})
