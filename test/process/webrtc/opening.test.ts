import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import type { Server } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { join } from 'node:path'
import { type HttpBindings, serve } from '@hono/node-server'
import { Hono } from 'hono'
import { afterEach, expect, test } from 'vitest'
import { bodyDeadline } from '../../../src/http/guards/limits.ts'
import { signallingRoutes } from '../../../src/http/routes/signalling.ts'
import { errorOf, problemResponse } from '../../../src/http/status.ts'
import { openWhipSession, type WhipSession } from '../../../src/webrtc/whip/whip.ts'
import { http } from '../../helpers/server/http.ts'
import { LogCollector } from '../../helpers/server/logs.ts'
import { waitFor } from '../../helpers/wait.ts'
import { ICE } from './support/server.ts'

const OFFER = readFileSync(join(import.meta.dirname, '../../unit/webrtc/offers/whip-chrome.sdp'), 'utf8')
const headers = { 'content-type': 'application/sdp' }
const BODY_MS = 500

let server: Server
const sessions: WhipSession[] = []
afterEach(async () => {
  server.closeAllConnections()
  server.close()
  await Promise.all(sessions.splice(0).map((session) => session.close()))
})

/** There is room for one session; `before` delays its opening. */
async function listen(before: () => Promise<void> = async () => {}): Promise<number> {
  const app = new Hono<{ Bindings: HttpBindings }>()
  app.onError((thrown, c) => problemResponse(c, errorOf(thrown)))
  app.use(bodyDeadline(BODY_MS))
  const open = async ({ offer }: { offer: string }) => {
    await before()
    const session = await openWhipSession({ offer, ice: ICE }, { log: new LogCollector().log })
    sessions.push(session)
    return session
  }
  app.route('/', signallingRoutes({ kind: 'whip', iceServers: () => [], open, maxSessions: 1 }))
  server = serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }) as Server
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

const publish = (port: number) =>
  http('POST', `http://127.0.0.1:${port}/whip/demo`, { headers, body: OFFER }).then(({ status }) => status)

/** Sends only part of an offer. */
async function begin(port: number, bytes: number) {
  const socket = connect(port, '127.0.0.1').on('error', () => {})
  const seen = once(server, 'request')
  await once(socket, 'connect')
  const head = ['POST /whip/demo HTTP/1.1', 'host: localhost', 'content-type: application/sdp']
  socket.write(
    `${[...head, `content-length: ${Buffer.byteLength(OFFER)}`].join('\r\n')}\r\n\r\n${OFFER.slice(0, bytes)}`,
  )
  await seen
  return socket
}

test('an offer that never completes is answered with 408, and its place is free again', async () => {
  const port = await listen()
  const socket = await begin(port, 100)
  await waitFor('its place to be taken', async () => (await publish(port)) === 503)
  const [answer] = (await once(socket, 'data')) as [Buffer]
  expect(answer.toString()).toMatch(/^HTTP\/1.1 408 /)
  await waitFor('a place', async () => (await publish(port)) === 201)
})

test('so is that of a truncated offer', async () => {
  const port = await listen()
  const socket = await begin(port, 100)
  await waitFor('its place to be taken', async () => (await publish(port)) === 503)
  socket.destroy()
  await waitFor('a place', async () => (await publish(port)) === 201, { limitMs: BODY_MS + 5000 })
})

test('and that of a client that left while its session opened, which ends', async () => {
  const held = Promise.withResolvers<void>()
  let opening = 0
  const port = await listen(async () => {
    opening++
    if (opening === 1) await held.promise
  })
  const socket = await begin(port, OFFER.length)
  await waitFor('its opening', () => opening === 1)
  expect(await publish(port)).toBe(503)
  socket.destroy()
  await waitFor('the connection to be gone', async () => {
    const { promise, resolve } = Promise.withResolvers<number>()
    server.getConnections((_, count) => resolve(count))
    return (await promise) === 0
  })
  held.resolve()
  await waitFor('a place', async () => (await publish(port)) === 201)
  await waitFor('the end of its session', () => sessions.length === 2)
  expect(await sessions[0]!.closed).toEqual({ why: 'stopped' })
})
