import { X509Certificate } from 'node:crypto'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import { createSelfSignedCertificate } from 'werift'
import { type DtlsCertificate, type DtlsRole, DtlsSession, dtlsCertificate } from '../../../../src/webrtc/dtls/dtls.ts'
import { SRTP_PROFILES } from '../../../../src/webrtc/srtp/profile.ts'

async function makeCertificate(): Promise<DtlsCertificate> {
  const { certPem, keyPem } = await createSelfSignedCertificate({ signature: 3, hash: 4 }, 23)
  const value = new X509Certificate(certPem).fingerprint256
  return { certPem, keyPem, fingerprint: { algorithm: 'sha-256', value } }
}

let ours: DtlsCertificate
let theirs: DtlsCertificate
beforeAll(async () => {
  ours = await makeCertificate()
  theirs = await makeCertificate()
})

const open: DtlsSession[] = []
afterEach(() => {
  for (const session of open.splice(0)) session.close()
})

type Side = { certificate: DtlsCertificate; expects?: DtlsCertificate; role: DtlsRole }

/** Two directly connected ends; `wire` sees the datagrams to each. */
function connect(a: Side, b: Side, wire: (to: DtlsRole, data: Buffer) => void = () => {}): [DtlsSession, DtlsSession] {
  const sides: DtlsSession[] = []
  const make = ({ certificate, role, expects }: Side, self: number, other: Side) =>
    new DtlsSession({
      role,
      certificate,
      fingerprints: [(expects ?? other.certificate).fingerprint],
      send: (data) => {
        wire(other.role, data)
        queueMicrotask(() => sides[1 - self]!.receive(data))
      },
    })
  sides.push(make(a, 0, b), make(b, 1, a))
  open.push(...sides)
  for (const session of sides) session.start()
  return [sides[0]!, sides[1]!]
}

const server = (certificate: DtlsCertificate, expects?: DtlsCertificate): Side => ({
  certificate,
  role: 'server',
  ...(expects && { expects }),
})
const client = (certificate: DtlsCertificate, expects?: DtlsCertificate): Side => ({
  certificate,
  role: 'client',
  ...(expects && { expects }),
})

describe('a handshake', () => {
  test('gives both sides the same keys, mirrored', async () => {
    const [a, b] = connect(server(ours), client(theirs))
    const [one, two] = await Promise.all([a.keys, b.keys])
    expect(one.profile).toBe(SRTP_PROFILES.aeadAes128Gcm)
    expect(one.localKey).toEqual(two.remoteKey)
    expect(one.remoteSalt).toEqual(two.localSalt)
    expect(one.localKey).not.toEqual(one.remoteKey)
  })

  test('fails with another certificate than the announced one', async () => {
    const [a] = connect(server(ours, ours), client(theirs))
    await expect(a.keys).rejects.toMatchObject({ code: 'peer-failed', message: expect.stringContaining('fingerprint') })
    const [, b] = connect(server(ours), client(theirs, theirs))
    await expect(b.keys).rejects.toMatchObject({ code: 'peer-failed', message: expect.stringContaining('fingerprint') })
  })

  test('fails with a certificate other than its own', async () => {
    const stolen = { ...theirs, keyPem: ours.keyPem }
    const [a] = connect(server(ours), client(stolen))
    await expect(a.keys).rejects.toMatchObject({ code: 'peer-failed', message: expect.stringContaining('its own') })
    const [, b] = connect(server(stolen), client(ours))
    await expect(b.keys).rejects.toMatchObject({ code: 'peer-failed', message: expect.stringContaining('its own') })
  })
})

describe('after the handshake', () => {
  const ended = async (session: DtlsSession) => {
    const later = new Promise<string>((resolve) => setTimeout(() => resolve('goes on'), 50))
    return await Promise.race([session.ended.then(() => 'ended'), later])
  }

  test('a close_notify reaches the other side', async () => {
    const [a, b] = connect(server(ours), client(theirs))
    await Promise.all([a.keys, b.keys])
    a.close()
    expect(await ended(b)).toBe('ended')
    const [c, d] = connect(server(ours), client(theirs))
    await Promise.all([c.keys, d.keys])
    d.close()
    expect(await ended(c)).toBe('ended')
  })

  test('cannot be forged', async () => {
    const [a, b] = connect(server(ours), client(theirs))
    await Promise.all([a.keys, b.keys])
    for (const record of [
      '15fefd000000000000000900020100',
      '15fefd000100000000000900020100',
      '15fefd000100000000000900020228',
      `15fefd0001000000000009001a${'00'.repeat(26)}`,
      '99fefd000100000000000900020100',
      '16fefd0000000000000009000c010000000000000000000000',
    ]) {
      a.receive(Buffer.from(record, 'hex'))
      b.receive(Buffer.from(record, 'hex'))
    }
    expect([await ended(a), await ended(b)]).toEqual(['goes on', 'goes on'])
  })

  test('random datagrams change nothing', async () => {
    const [a, b] = connect(server(ours), client(theirs))
    await Promise.all([a.keys, b.keys])
    for (let i = 0; i < 2000; i++) {
      const data = Buffer.from(
        Array.from({ length: Math.floor(Math.random() * 60) }, () => Math.floor(Math.random() * 256)),
      )
      if (data.length > 4) data.set([20 + (i % 6), 0xfe, 0xfd, 0, i % 2])
      a.receive(data)
    }
    expect(await ended(a)).toBe('goes on')
  })

  test('data passes both ways, each datagram once and no altered one', async () => {
    const wire: Buffer[] = []
    const [a, b] = connect(server(ours), client(theirs), (to, data) => to === 'server' && wire.push(Buffer.from(data)))
    await Promise.all([a.keys, b.keys])
    const [atA, atB]: [string[], string[]] = [[], []]
    a.onData = (data) => atA.push(String(data))
    b.onData = (data) => atB.push(String(data))
    for (const text of ['one', 'two', 'x'.repeat(1191)]) {
      a.sendData(Buffer.from(`${text} from a`))
      b.sendData(Buffer.from(`${text} from b`))
    }
    await ended(a)
    expect(atA).toEqual(['one from b', 'two from b', `${'x'.repeat(1191)} from b`])
    expect(atB).toEqual(['one from a', 'two from a', `${'x'.repeat(1191)} from a`])
    const records = wire.filter((record) => record[0] === 23)
    expect(records).toHaveLength(3)
    for (const record of records) a.receive(record)
    b.sendData(Buffer.from('three'))
    const changed = Buffer.from(wire.at(-1)!)
    changed[5 + 5]! += 1
    a.receive(changed)
    await ended(a)
    expect(atA.slice(3)).toEqual(['three'])
    a.close()
    b.close()
    a.sendData(Buffer.from('late'))
    b.receive(records[0]!)
    expect([atA, atB].map(({ length }) => length)).toEqual([4, 3])
  })

  test('nothing is sent after close', async () => {
    let sent = 0
    const [a] = connect(server(ours), client(theirs), (to) => {
      if (to === 'client') sent++
    })
    await a.keys
    a.close()
    const before = sent
    a.close()
    a.receive(Buffer.from('16fefd0001000000000001000100', 'hex'))
    expect(sent).toBe(before)
  })
})

test('the process creates its certificate once, and again after a week', async () => {
  const now = Date.now()
  const [first, same] = await Promise.all([dtlsCertificate(now), dtlsCertificate(now)])
  expect(same.fingerprint).toEqual(first.fingerprint)
  expect((await dtlsCertificate(now + 8 * 24 * 3600 * 1000)).fingerprint).not.toEqual(first.fingerprint)
})

test('an endless handshake is refused', async () => {
  const certificate = await dtlsCertificate()
  const session = new DtlsSession({ role: 'server', certificate, fingerprints: [], send: () => {} })
  // A one-byte fragment of a ClientHello of 60,000 bytes (RFC 6347 §4.2.2).
  const fragment = Buffer.from('16feff0000000000000000000d0100ea60000000000000000001', 'hex')
  fragment.writeUInt16BE(13, 11)
  const datagram = Buffer.concat([fragment, Buffer.of(0)])
  for (let i = 0; i < 6000; i++) session.receive(datagram)
  await expect(session.keys).rejects.toMatchObject({ code: 'peer-failed', message: expect.stringContaining('131072') })
  session.close()
})
