import { expect, test } from 'vitest'
import { pageModule } from './page-module.ts'

const { iceServersOf, linksOf } = await pageModule('client/ice-servers.js')

test('the header of the server, joined as a browser joins headers', () => {
  const header = [
    '<stun:stun.example.net>; rel="ice-server"',
    '<turn:turn.example.net?transport=udp>; rel="ice-server"; username="me"; credential="a, \\"word\\"; \\\\"; credential-type="password"',
    '<turns:turn.example.net:443?transport=tcp>; rel="ice-server"; username="me"; credential="b"; credential-type="password"',
  ].join(', ')
  expect(iceServersOf(header)).toEqual([
    { urls: 'stun:stun.example.net' },
    { urls: 'turn:turn.example.net?transport=udp', username: 'me', credential: 'a, "word"; \\' },
    { urls: 'turns:turn.example.net:443?transport=tcp', username: 'me', credential: 'b' },
  ])
})

test('other spellings of it', () => {
  expect(iceServersOf('<stun:a>;rel=ice-server,<stun:b> ; REL = "next Ice-Server" ;; other')).toEqual([
    { urls: 'stun:a' },
    { urls: 'stun:b' },
  ])
})

test.each([
  ['none', null],
  ['an empty header', ''],
  ['another relation', '</next>; rel="next"'],
  ['the relation of a later param', '<stun:a>; rel="next"; rel="ice-server"'],
  ['another scheme', '<https://example.net>; rel="ice-server"'],
  ['a STUN server with a query', '<stun:a?transport=udp>; rel="ice-server"'],
  ['a TURN server without login', '<turn:a>; rel="ice-server"'],
  ['a login of another kind', '<turn:a>; rel="ice-server"; username="u"; credential="c"; credential-type="oauth"'],
  ['no link', 'stun:a; rel="ice-server"'],
  ['a link that does not end', '<stun:a; rel="ice-server"'],
])('%s is not an ICE server', (_, header) => {
  expect(iceServersOf(header)).toEqual([])
})

test('an invalid link does not hide the next one', () => {
  expect(linksOf('<a>; x=y z w, <b>; rel=two')).toEqual([
    { target: 'a', params: { x: 'y' } },
    { target: 'b', params: { rel: 'two' } },
  ])
})
