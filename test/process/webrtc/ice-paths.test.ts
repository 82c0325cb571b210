import { createSocket, type Socket as UdpSocket } from 'node:dgram'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { classes, Message, methods } from 'werift'
import { parseBindingRequest, writeBindingSuccess } from '../../../src/codec/stun.ts'
import { nowMs } from '../../../src/core/clock.ts'
import { type IceAgent, openIceAgent } from '../../../src/webrtc/ice/agent.ts'
import { type IcePort, openSharedPort } from '../../../src/webrtc/ice/port.ts'
import { waitFor } from '../../helpers/wait.ts'

const REMOTE = { ufrag: 'theirs', password: 'a password of theirs, long' }
const MEDIA = 0x80
const CONSENT_OVER_MS = 31_000

let port: IcePort
let agent: IceAgent
const open: { close(): unknown }[] = []
beforeEach(async () => {
  port = (await openSharedPort(0))!
  agent = await openIceAgent({ sharedPort: port })
  agent.setRemote(REMOTE)
})
afterEach(async () => {
  for (const one of open.splice(0)) one.close()
  await agent.close()
  await port.close()
})

function check(nominate: boolean): Buffer {
  const message = new Message(methods.BINDING, classes.REQUEST)
  message.setAttribute('USERNAME', `${agent.local.ufrag}:${REMOTE.ufrag}`)
  message.setAttribute('PRIORITY', 1).setAttribute('ICE-CONTROLLING', 1n)
  if (nominate) message.setAttribute('USE-CANDIDATE', null)
  return message.addMessageIntegrity(Buffer.from(agent.local.password)).addFingerprint().bytes
}

const SUCCESS = 0x0101

/** An address of the peer: answers checks while `answers` is set, and counts responses to its own checks, and media. */
type Address = { media: number; answered: number; answers: boolean; send(data: Buffer): void }

async function byUdp(): Promise<Address> {
  const socket: UdpSocket = createSocket('udp4')
  open.push(socket)
  const send = (data: Buffer) => socket.send(data, port.port, '127.0.0.1')
  const address: Address = { media: 0, answered: 0, answers: true, send }
  socket.on('message', (data, from) => {
    if (data[0] === MEDIA) address.media++
    if (data.readUInt16BE(0) === SUCCESS) address.answered++
    const request = parseBindingRequest(data)
    if (request && address.answers) address.send(writeBindingSuccess(request, from, REMOTE.password))
  })
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  return address
}

/** A TCP connection already proves the address of the peer. */
async function byTcp(): Promise<Address> {
  const socket: Socket = connect(port.port, '127.0.0.1')
  open.push({ close: () => socket.destroy() })
  await once(socket, 'connect')
  const framed = (data: Buffer) => Buffer.concat([Uint8Array.of(data.length >> 8, data.length & 255), data])
  const address: Address = { media: 0, answered: 0, answers: true, send: (data) => socket.write(framed(data)) }
  let rest: Buffer = Buffer.alloc(0)
  socket.on('data', (data) => {
    rest = Buffer.concat([rest, data])
    while (rest.length > 2 && rest.length >= 2 + rest.readUInt16BE(0)) {
      if (rest[2] === MEDIA) address.media++
      else if (rest.readUInt16BE(2) === SUCCESS) address.answered++
      rest = rest.subarray(2 + rest.readUInt16BE(0))
    }
  })
  return address
}

const sendMedia = () => agent.send(Buffer.alloc(500, MEDIA))

async function reaches(address: Address, what: string): Promise<void> {
  const before = address.media
  await waitFor(what, () => {
    sendMedia()
    return address.media > before + 3
  })
}

test('media uses the path the peer chose, and another one with consent when that is lost', async () => {
  const [first, second] = [await byUdp(), await byTcp()]
  first.send(check(true))
  await reaches(first, 'media by the first path')
  second.send(check(false))
  await waitFor('the second path', () => second.answered > 0)
  await reaches(first, 'media by the first path still')
  expect(second.media).toBe(0)

  first.answers = false
  const later = nowMs() + CONSENT_OVER_MS
  await waitFor('the second path to take over', () => {
    agent.keepConsent(later)
    sendMedia()
    return second.media > 0
  })
  const before = first.media
  await reaches(second, 'media by the second path')
  expect(first.media - before).toBeLessThanOrEqual(1)
})

test('a path without consent never takes over', async () => {
  const [first, silent] = [await byUdp(), await byUdp()]
  silent.answers = false
  first.send(check(true))
  await reaches(first, 'media by the first path')
  for (let i = 0; i < 5; i++) silent.send(check(true))
  await reaches(first, 'media by the first path still')
  const later = nowMs() + CONSENT_OVER_MS
  for (let i = 0; i < 5; i++) {
    agent.keepConsent(later)
    sendMedia()
  }
  await reaches(first, 'media once it answers again')
  expect(silent.media).toBe(0)
})

test('a newly chosen path takes over at once', async () => {
  const [first, second] = [await byUdp(), await byUdp()]
  first.send(check(true))
  await reaches(first, 'media by the first path')
  second.send(check(true))
  await reaches(second, 'media by the second path')
  const before = first.media
  await reaches(second, 'more media by the second path')
  expect(first.media - before).toBeLessThanOrEqual(1)
})
