import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { writeOffer } from '../../../src/webrtc/client/offer.ts'
import { openClientSession } from '../../../src/webrtc/client/session.ts'
import { LogCollector } from '../../helpers/server/logs.ts'
import { waitFor } from '../../helpers/wait.ts'

/** An endpoint that answers with this address and session URL, and records requests. */
let server: Server
let asked: string[] = []
let candidate = ''
let location = '/session/1'
const local = { ufrag: 'abcdefgh', password: 'p'.repeat(24), fingerprint: { algorithm: 'sha-256', value: 'AA:BB' } }

beforeAll(async () => {
  server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url} ${request.headers.authorization}`)
    const answer = writeOffer('send', { ...local, candidates: [candidate] }).replaceAll('actpass', 'passive')
    response.writeHead(request.method === 'POST' ? 201 : 200, { location }).end(answer)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
})
afterAll(() => void server.close())
beforeEach(() => {
  asked = []
})

const open = (reaches: (address: string) => boolean) => {
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/whep/x`
  const endpoint = { target: { url, rejectUnauthorized: true }, token: 'abc', ice: {}, reaches }
  return openClientSession(endpoint, 'receive', {}, { log: new LogCollector().log })
}

it('calls no forbidden address, and deletes the session', async () => {
  candidate = '1 1 udp 1 10.0.0.1 5000 typ host'
  const looked: string[] = []
  const opening = open((address) => {
    looked.push(address)
    return false
  })
  await expect(opening).rejects.toMatchObject({ code: 'peer-failed', message: /names private addresses only/ })
  expect(looked).toEqual(['10.0.0.1'])
  expect(asked).toEqual(['POST /whep/x Bearer abc', 'DELETE /session/1 Bearer abc'])
})

it('deletes the session when its peer ends, on that server only', async () => {
  candidate = '1 1 udp 1 127.0.0.1 9 typ host'
  const session = await open(() => true)
  await session.peer.close()
  await waitFor('the goodbye', () => asked.length === 2)
  location = 'http://10.0.0.1/session/1'
  asked = []
  const other = await open(() => true)
  await other.peer.close()
  expect(asked).toEqual(['POST /whep/x Bearer abc'])
})
