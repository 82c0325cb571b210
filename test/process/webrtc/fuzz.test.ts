import { createSocket } from 'node:dgram'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { classes, Message, methods } from 'werift'
import { writeNack, writePictureLoss, writeSenderReport } from '../../../src/codec/rtp/rtcp.ts'
import { nothingLeft } from '../../helpers/nothing-left.ts'
import { waitFor } from '../../helpers/wait.ts'
import { SignallingServer } from './support/server.ts'
import { WeriftViewer } from './support/viewer.ts'

const FOLDER = join(import.meta.dirname, '../../unit/webrtc/offers')
const OFFERS = readdirSync(FOLDER).map((file) => ({
  kind: file.startsWith('whip') ? 'whip' : 'whep',
  text: readFileSync(join(FOLDER, file), 'latin1'),
}))

let server: SignallingServer
beforeEach(() => {
  server = new SignallingServer()
})
afterEach(() => server[Symbol.asyncDispose]())

/** Seeded, so each run has the same damage. */
function damager(seed: number): (bytes: Buffer) => Buffer {
  let state = seed
  const random = (below: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
  return (bytes) => {
    const damaged = Buffer.from(bytes.subarray(0, random(5) === 0 ? random(bytes.length) : bytes.length))
    for (let i = 0; i < 1 + random(12) && damaged.length > 0; i++) damaged[random(damaged.length)] = random(256)
    return damaged
  }
}

test('500 damaged offers and fragments are refused with 4xx, or accepted if still valid', {
  timeout: 120_000,
}, async () => {
  const check = nothingLeft()
  const damage = damager(1)
  const seen = new Map<number, number>()
  for (let i = 0; i < 500; i++) {
    const { kind, text } = OFFERS[i % OFFERS.length]!
    const body = new Uint8Array(damage(Buffer.from(text, 'latin1')))
    const headers = { 'content-type': 'application/sdp' }
    const answer = await server.app.request(`/${kind}/demo`, { method: 'POST', headers, body })
    seen.set(answer.status, (seen.get(answer.status) ?? 0) + 1)
    if (answer.status === 201) {
      const location = `/${kind}/${answer.headers.get('location')!}`
      const fragment = damage(
        Buffer.from('a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\na=candidate:1 1 udp 1 ::1 9 typ host\r\n'),
      )
      const patch = { 'content-type': 'application/trickle-ice-sdpfrag', 'if-match': '*' }
      const patched = await server.app.request(location, {
        method: 'PATCH',
        headers: patch,
        body: new Uint8Array(fragment),
      })
      expect([200, 204, 400]).toContain(patched.status)
      expect((await server.app.request(location, { method: 'DELETE' })).status).toBe(200)
    } else {
      expect([400, 415]).toContain(answer.status)
    }
  }
  expect(seen.get(201)).toBeGreaterThan(20)
  expect(seen.get(400)).toBeGreaterThan(20)
  await check(10_000)
})

test('damaged packets disturb no session', { timeout: 60_000 }, async () => {
  const viewer = new WeriftViewer()
  const offer = await viewer.offer()
  const headers = { 'content-type': 'application/sdp' }
  const answer = await (await server.app.request('/whep/demo', { method: 'POST', headers, body: offer })).text()
  const session = server.viewers[0]!
  await viewer.accept(answer)
  await session.connected

  const line = (text: string, name: string) => new RegExp(`a=${name}:(\\S+)`).exec(text)![1]!
  const request = new Message(methods.BINDING, classes.REQUEST)
  request.setAttribute('USERNAME', `${line(answer, 'ice-ufrag')}:${line(offer, 'ice-ufrag')}`)
  request.setAttribute('PRIORITY', 1).setAttribute('ICE-CONTROLLING', 1n)
  request.addMessageIntegrity(Buffer.from(line(answer, 'ice-pwd')))
  const stun = request.bytes
  const rtp = Buffer.concat([
    Buffer.from('90660001000000000000000a' + 'bede0001' + '10aa0000', 'hex'),
    Buffer.alloc(200, 7),
  ])
  const report = writeSenderReport({ ssrc: 1, ntp: 4e12, timestamp: 1, packets: 1, bytes: 1 })
  const rtcp = Buffer.concat([report, writeNack(1, 2, [3, 4, 5]), writePictureLoss(1, 2)])
  const dtls = Buffer.from(`16fefd0001000000000001003a0100002e0000000000000022fefd${'00'.repeat(60)}`, 'hex')
  const seeds = [stun, rtp, rtcp, dtls, Buffer.from([20]), Buffer.from([128]), Buffer.alloc(0)]

  const port = Number(/a=candidate:1 1 udp \d+ \S+ (\d+) typ host/.exec(answer)![1])
  const stranger = createSocket('udp4')
  // This socket completes an ICE check, so its packets reach the inner parsers.
  const known = createSocket('udp4')
  const send = (socket: typeof known, data: Buffer) => socket.send(data, port, '127.0.0.1')
  try {
    send(known, stun)
    await sleep(50)
    const damage = damager(2)
    for (let i = 0; i < 1000; i++) {
      const packet = damage(seeds[i % seeds.length]!)
      send(i % 2 ? known : stranger, packet)
      if (i % 50 === 0) await sleep(5)
    }
    await sleep(200)
    server.broadcast.write({
      track: { id: 'video', kind: 'video', codec: 'h264' },
      key: true,
      pts: 0,
      data: Uint8Array.of(0, 0, 0, 1, 0x67, 1, 2, 3, 0, 0, 0, 1, 0x65, 9, 9, 9),
    })
    await waitFor('a frame', () => viewer.units.length === 1)
  } finally {
    stranger.close()
    known.close()
    await viewer.peer.close()
  }
})
