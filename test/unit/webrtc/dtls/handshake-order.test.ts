import { beforeAll, describe, expect, test } from 'vitest'
import { type DtlsCertificate, type DtlsRole, DtlsSession, dtlsCertificate } from '../../../../src/webrtc/dtls/dtls.ts'
import { HandshakeOrder } from '../../../../src/webrtc/dtls/handshake-order.ts'

const CLIENT_HELLO = 1
const CERTIFICATE = 11
const CERTIFICATE_VERIFY = 15
const KEY_EXCHANGE = 16
const APPLICATION_DATA = 23

type Part = { type: number; seq: number; body: string; from?: number; to?: number }

/** A record with these messages, or fragments of them. */
function record(...parts: Part[]): Buffer {
  const messages = parts.map(({ type, seq, body, from = 0, to = body.length }) => {
    const header = Buffer.alloc(12)
    header[0] = type
    header.writeUIntBE(body.length, 1, 3)
    header.writeUInt16BE(seq, 4)
    header.writeUIntBE(from, 6, 3)
    header.writeUIntBE(to - from, 9, 3)
    return Buffer.concat([header, Buffer.from(body.slice(from, to))])
  })
  return raw(22, 0, Buffer.concat(messages))
}

function raw(type: number, epoch: number, content: Buffer): Buffer {
  const header = Buffer.from([type, 0xfe, 0xfd, 0, epoch, 0, 0, 0, 0, 0, 9, 0, 0])
  header.writeUInt16BE(content.length, 11)
  return Buffer.concat([header, content])
}

/** The delivered messages, each by number and body. */
function through(order: HandshakeOrder, ...datagrams: Buffer[]): string[] {
  const given: string[] = []
  for (const datagram of datagrams) {
    order.pass(datagram, (one) => {
      const isHandshake = one[0] === 22 && one.readUInt16BE(3) === 0
      given.push(isHandshake ? `${one.readUInt16BE(17)} ${one.subarray(25)}` : String(one.subarray(13)))
    })
  }
  return given
}

const hello = { type: CLIENT_HELLO, seq: 0, body: 'hello' }
const second = { type: CLIENT_HELLO, seq: 1, body: 'hello with a cookie' }
const certificate = { type: CERTIFICATE, seq: 2, body: 'certificate' }
const keys = { type: KEY_EXCHANGE, seq: 3, body: 'keys' }
const proof = { type: CERTIFICATE_VERIFY, seq: 4, body: 'proof' }

describe('messages of a handshake', () => {
  test('are delivered once and in order, however they arrive', () => {
    const order = new HandshakeOrder('server')
    expect(through(order, record(second), record(hello), record(hello), record(second))).toEqual([
      '0 hello',
      '1 hello with a cookie',
    ])
    expect(through(order, record(proof), record(keys, certificate), record(hello), record(proof))).toEqual([
      '2 certificate',
      '3 keys',
      '4 proof',
    ])
  })

  test('are reassembled from repeated and overlapping fragments', () => {
    const order = new HandshakeOrder('server')
    const parts = [
      [8, 11],
      [0, 5],
      [0, 5],
      [3, 9],
    ].map(([from, to]) => record({ ...certificate, seq: 0, from: from!, to: to! }))
    expect(through(order, ...parts.slice(0, 3))).toEqual([])
    expect(through(order, parts[3]!)).toEqual(['0 certificate'])
  })

  test('the first ClientHello is delivered again, fragmented too, when its answer may be lost, but not at once', async () => {
    const order = new HandshakeOrder('server')
    const parts = [record({ ...hello, to: 2 }), record({ ...hello, from: 2 })]
    expect(through(order, ...parts, ...parts)).toEqual(['0 hello'])
    await new Promise((resolve) => setTimeout(resolve, 350))
    expect(through(order, ...parts, record(hello))).toEqual(['0 hello'])
    await new Promise((resolve) => setTimeout(resolve, 350))
    expect(through(order, record(second), ...parts)).toEqual(['1 hello with a cookie'])
  })

  test('encrypted records wait for the last plaintext message; nothing else does', () => {
    const order = new HandshakeOrder('server')
    const finished = raw(22, 1, Buffer.from('finished'))
    const early = Array.from({ length: 20 }, () => raw(APPLICATION_DATA, 1, Buffer.from('data')))
    expect(through(order, record(hello), finished, ...early, record(second, certificate, keys))).toEqual([
      '0 hello',
      '1 hello with a cookie',
      '2 certificate',
      '3 keys',
    ])
    expect(through(order, record(proof), finished)).toEqual(['4 proof', 'finished', 'data', 'data', 'data', 'finished'])
  })

  test('with an impossible length, offset or content are dropped', () => {
    const order = new HandshakeOrder('server')
    const tooLong = record({ ...hello, body: 'x'.repeat(20_000), to: 10 })
    const pastItsEnd = record(hello)
    pastItsEnd.writeUIntBE(3, 14, 3)
    const cut = record(hello).subarray(0, 20)
    expect(through(order, tooLong, pastItsEnd, cut, Buffer.alloc(3), record(hello))).toEqual(['0 hello'])
  })
})

/** Seeded pseudo-random numbers. */
function dice(seed: number): () => number {
  let state = seed * 2654435761 || 1
  return () => {
    state = (Math.imul(state ^ (state >>> 15), 2246822519) + 374761393) | 0
    return (state >>> 0) / 2 ** 32
  }
}

/** Effect of a network on datagrams: delays of the copies that arrive, in milliseconds. */
const NETWORKS: Record<string, (next: () => number) => number[]> = {
  'brings each twice': () => [5, 6],
  'takes 700 ms each way': () => [700],
  'loses a fifth': (next) => (next() < 0.2 ? [] : [5]),
  'mixes their order, loses some and brings some twice': (next) =>
    next() < 0.1 ? [] : next() < 0.3 ? [next() * 700, next() * 700] : [next() * 700],
}

describe('a handshake over a network that', () => {
  let own: DtlsCertificate
  beforeAll(async () => {
    own = await dtlsCertificate()
  })

  test.each(Object.keys(NETWORKS))('%s', async (name) => {
    const handshakes = Array.from({ length: 5 }, async (_, index) => {
      const next = dice(index + 1)
      const sides = {} as Record<DtlsRole, DtlsSession>
      const open = (role: DtlsRole, other: DtlsRole) =>
        new DtlsSession({
          role,
          certificate: own,
          fingerprints: [own.fingerprint],
          send: (data) => {
            for (const delay of NETWORKS[name]!(next)) setTimeout(() => sides[other].receive(Buffer.from(data)), delay)
          },
        })
      sides.server = open('server', 'client')
      sides.client = open('client', 'server')
      sides.client.start()
      const [a, b] = await Promise.all([sides.server.keys, sides.client.keys])
      sides.server.close()
      sides.client.close()
      return a.localKey.equals(b.remoteKey)
    })
    expect(await Promise.all(handshakes)).toEqual([true, true, true, true, true])
  })
})
