import { describe, expect, test } from 'vitest'
import { classes, Message, methods, parseMessage } from 'werift'
import { parseBindingRequest, writeBindingSuccess, writeRoleConflict } from '../../../src/codec/stun.ts'

const PASSWORD = 'a password of the server'

function request(change: (message: Message) => void = () => {}): Buffer {
  const message = new Message(methods.BINDING, classes.REQUEST)
  message.setAttribute('USERNAME', 'server:client')
  message.setAttribute('PRIORITY', 1)
  change(message)
  message.addMessageIntegrity(Buffer.from(PASSWORD))
  message.addFingerprint()
  return message.bytes
}

describe('parseBindingRequest', () => {
  test('a request of another implementation', () => {
    const parsed = parseBindingRequest(request((message) => message.setAttribute('USE-CANDIDATE', null)))!
    expect(parsed).toMatchObject({ username: 'server:client', useCandidate: true, controlled: false })
    expect(parsed.signedWith(PASSWORD)).toBe(true)
    expect(parsed.signedWith('another')).toBe(false)
  })

  test('one of a controlled agent', () => {
    expect(parseBindingRequest(request((message) => message.setAttribute('ICE-CONTROLLED', 1n)))?.controlled).toBe(true)
  })

  test('a changed byte breaks the integrity check', () => {
    const bytes = request()
    for (let at = 0; at < bytes.indexOf(Buffer.from([0, 8, 0, 20])); at++) {
      const changed = Buffer.from(bytes)
      changed[at]! ^= 1
      expect(parseBindingRequest(changed)?.signedWith(PASSWORD) ?? false).toBe(false)
    }
  })

  test('attributes after the integrity check are ignored', () => {
    const forged = Buffer.concat([request(), Buffer.from([0, 0x25, 0, 0])])
    forged.writeUInt16BE(forged.length - 20, 2)
    expect(parseBindingRequest(forged)).toMatchObject({ useCandidate: false })
  })

  test('none without integrity or username', () => {
    const unsigned = new Message(methods.BINDING, classes.REQUEST).setAttribute('USERNAME', 'server:client')
    expect(parseBindingRequest(unsigned.bytes)).toBeUndefined()
    const nobody = new Message(methods.BINDING, classes.REQUEST)
    nobody.addMessageIntegrity(Buffer.from(PASSWORD))
    expect(parseBindingRequest(nobody.bytes)).toBeUndefined()
  })

  test('survives random and truncated bytes', () => {
    const whole = request()
    for (let i = 0; i < 5000; i++) {
      const bytes = Buffer.from(whole.subarray(0, i % 2 ? whole.length : Math.floor(Math.random() * whole.length)))
      for (let flips = 0; flips < 4; flips++) bytes[Math.floor(Math.random() * bytes.length)] = Math.random() * 256
      parseBindingRequest(bytes)?.signedWith(PASSWORD)
    }
  })
})

test.each([
  ['203.0.113.9', 50_000],
  ['fd00::2', 443],
  ['2001:db8:1:2:3:4:5:6', 1],
  ['::1', 65_535],
  ['fe80::1%eth0', 9],
])('the response to %s:%i is parsed by another implementation', (address, port) => {
  const parsed = parseBindingRequest(request())!
  const answer = parseMessage(writeBindingSuccess(parsed, { address, port }, PASSWORD), Buffer.from(PASSWORD))!
  expect(answer.messageClass).toBe(classes.RESPONSE)
  const [mapped, mappedPort] = answer.getAttributeValue('XOR-MAPPED-ADDRESS')
  expect(mappedPort).toBe(port)
  expect(new URL(`http://[${mapped.includes(':') ? mapped : `::ffff:${mapped}`}]`).host).toBe(
    new URL(`http://[${address.includes(':') ? address.split('%')[0] : `::ffff:${address}`}]`).host,
  )
})

test('a role conflict is parsed by another implementation', () => {
  const answer = parseMessage(writeRoleConflict(parseBindingRequest(request())!, PASSWORD), Buffer.from(PASSWORD))!
  expect(answer.messageClass).toBe(classes.ERROR)
  expect(answer.getAttributeValue('ERROR-CODE')).toEqual([487, 'Role Conflict'])
})
