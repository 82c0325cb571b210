import { createHmac } from 'node:crypto'
import { expect, test } from 'vitest'
import { withTurnCredentials } from '../../../../src/webrtc/ice/turn.ts'

const SERVERS = [
  { urls: 'stun:a' },
  { urls: ['turn:b', 'turns:b'] },
  { urls: 'turn:c', username: 'me', credential: 'mine' },
]

test('TURN servers without a credential get one valid for a day', () => {
  const [stun, turn, own] = withTurnCredentials(SERVERS, 'secret', 1_700_000_000_000)
  const username = `${1_700_000_000 + 86_400}:millrace`
  expect(turn).toEqual({
    urls: ['turn:b', 'turns:b'],
    username,
    credential: createHmac('sha1', 'secret').update(username).digest('base64'),
  })
  expect([stun, own]).toEqual([SERVERS[0], SERVERS[2]])
})

test('without a secret nothing changes', () => {
  expect(withTurnCredentials(SERVERS, undefined)).toEqual(SERVERS)
})
