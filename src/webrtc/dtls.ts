// The DTLS handshake that gives SRTP its keys (RFC 5763, RFC 5764), through werift.
import { createHash, verify, X509Certificate } from 'node:crypto'
import { createSelfSignedCertificate, DtlsClient, DtlsServer } from 'werift'
import { AppError } from '../core/errors.ts'
import { MASTER_KEY_BYTES, masterSaltBytes, SRTP_PROFILES, type SrtpProfile } from './srtp.ts'
import type { SrtpKeys } from './srtp-session.ts'

export type Fingerprint = { algorithm: string; value: string }

export type DtlsCertificate = {
  certPem: string
  keyPem: string
  fingerprint: Fingerprint
  madeAt: number
}

/** Who begins: the client does (`a=setup:active`). */
export type DtlsRole = 'server' | 'client'

const HANDSHAKE = { certificateVerify: 15, serverKeyExchange: 12 } as const
const ALERT = 21
const SIGNATURE = { signature: 3, hash: 4 } as const
const P256 = 23
const CERTIFICATE_LIFE_MS = 7 * 24 * 3600 * 1000

let current: Promise<DtlsCertificate> | undefined

/** The certificate of this process, made anew each week. */
export async function dtlsCertificate(now = Date.now()): Promise<DtlsCertificate> {
  const existing = await current
  if (existing && now - existing.madeAt < CERTIFICATE_LIFE_MS) return existing
  current = makeCertificate(now)
  return current
}

async function makeCertificate(now: number): Promise<DtlsCertificate> {
  const { certPem, keyPem } = await createSelfSignedCertificate(SIGNATURE, P256)
  const value = new X509Certificate(certPem).fingerprint256
  return { certPem, keyPem, fingerprint: { algorithm: 'sha-256', value }, madeAt: now }
}

export type DtlsOptions = {
  role: DtlsRole
  certificate: DtlsCertificate
  /** Of the peer, from its session description. */
  fingerprints: readonly Fingerprint[]
  send: (data: Buffer) => void
}

/** One handshake, and the alerts after it. Nothing is sent after `close`. */
export class DtlsSession {
  /** Resolves when the peer proved to own the certificate it announced; rejects with `peer-failed`. */
  readonly keys: Promise<SrtpKeys>
  /** Resolves when the peer says goodbye. */
  readonly ended: Promise<void>
  readonly #socket: DtlsServer | DtlsClient
  readonly #options: DtlsOptions
  #established = false
  #closed = false

  constructor(options: DtlsOptions) {
    this.#options = options
    const { certPem, keyPem } = options.certificate
    const settings = {
      cert: certPem,
      key: keyPem,
      signatureHash: SIGNATURE,
      srtpProfiles: Object.values(SRTP_PROFILES),
      extendedMasterSecret: true,
      // A client with this would wait for the request, which ffmpeg does not send.
      certificateRequest: options.role === 'server',
      transport: {
        type: 'ice',
        address: { address: '', family: '', port: 0 },
        closed: false,
        onData: () => {},
        send: async (data: Buffer) => {
          if (!this.#closed) options.send(data)
        },
        close: async () => {},
      },
    }
    this.#socket = options.role === 'server' ? new DtlsServer(settings) : new DtlsClient(settings)
    const ended = Promise.withResolvers<void>()
    this.ended = ended.promise
    this.#socket.onClose.subscribe(() => ended.resolve())
    const keys = Promise.withResolvers<SrtpKeys>()
    this.keys = keys.promise
    this.keys.catch(() => {})
    const fail = (thrown: unknown) => keys.reject(AppError.from(thrown, 'peer-failed'))
    this.#socket.onError.subscribe(fail)
    this.#socket.onConnect.subscribe(() => {
      if (this.#established) return
      try {
        keys.resolve(this.#finish())
      } catch (thrown) {
        fail(thrown)
      }
    })
  }

  /** A client begins; a server waits. */
  start(): void {
    if (this.#socket instanceof DtlsClient)
      void this.#socket.connect().catch((err) => this.#socket.onError.execute(err))
  }

  receive(data: Buffer): void {
    if (this.#closed) return
    const records = this.#established ? encryptedRecords(data) : data
    if (records.length === 0) return
    try {
      this.#socket.transport.socket.onData(records, ['', 0])
    } catch {
      // A datagram that is no DTLS is lost like any other (RFC 6347 §4.1.2.7).
    }
  }

  /** Says goodbye to the peer and ends the retransmission of handshake messages. */
  close(): void {
    if (this.#closed) return
    if (this.#established) this.#options.send(this.#closeNotify())
    this.#closed = true
    this.#socket.dtls.flight = Number.POSITIVE_INFINITY
  }

  #finish(): SrtpKeys {
    const profile = this.#socket.srtp.srtpProfile as SrtpProfile | undefined
    if (!profile) throw new AppError('peer-failed', 'the peer offered no SRTP protection profile that is supported')
    const certificate = this.#socket.remoteCertificate
    if (!certificate) throw new AppError('peer-failed', 'the peer showed no certificate')
    if (!this.#options.fingerprints.some((one) => matches(one, certificate))) {
      throw new AppError('peer-failed', 'the certificate of the peer is not the one its session description announced')
    }
    if (!this.#provesOwnership(certificate)) {
      throw new AppError('peer-failed', 'the peer did not prove that the certificate is its own')
    }
    this.#established = true
    return { profile, ...this.#socket.extractSessionKeys(MASTER_KEY_BYTES, masterSaltBytes(profile)) }
  }

  /**
   * werift compares no signature: without this check anyone on the path could show the certificate of another
   * (it travels in clear) and be taken for its owner.
   */
  #provesOwnership(certificate: Buffer): boolean {
    const { dtls, cipher } = this.#socket
    const messages = dtls.sortedHandshakeCache
    if (this.#socket instanceof DtlsServer) {
      // RFC 5246 §7.4.8: all messages before this one are signed.
      const at = messages.findIndex((message) => message.msg_type === HANDSHAKE.certificateVerify)
      const body = messages[at]?.fragment
      if (!body || body.length < 4) return false
      const signed = Buffer.concat(messages.slice(0, at).map((message) => message.serialize()))
      return verifies(certificate, body.readUInt8(0), body.readUInt8(1), signed, body.subarray(4))
    }
    // RFC 8422 §5.4: both randoms and the key exchange parameters are signed.
    const body = messages.find((message) => message.msg_type === HANDSHAKE.serverKeyExchange)?.fragment
    const parametersEnd = body && body.length > 4 ? 4 + body[3]! : 0
    if (!body || body.length < parametersEnd + 4) return false
    const randoms = [cipher.localRandom.serialize(), cipher.remoteRandom.serialize()]
    const signed = Buffer.concat([...randoms, body.subarray(0, parametersEnd)])
    const [hash, algorithm] = [body[parametersEnd]!, body[parametersEnd + 1]!]
    return verifies(certificate, hash, algorithm, signed, body.subarray(parametersEnd + 4))
  }

  #closeNotify(): Buffer {
    const { dtls, cipher } = this.#socket
    const sequenceNumber = ++dtls.recordSequenceNumber
    const { major, minor } = dtls.version
    const recordLayerHeader = {
      contentType: ALERT,
      protocolVersion: { major, minor },
      epoch: dtls.epoch,
      sequenceNumber,
      contentLen: 2,
    }
    const record = { recordLayerHeader, fragment: Buffer.from([1, 0]) } as Parameters<typeof cipher.encryptPacket>[0]
    const { fragment } = cipher.encryptPacket(record)
    const header = Buffer.alloc(13)
    header.set([ALERT, major, minor])
    header.writeUInt16BE(dtls.epoch, 3)
    header.writeUIntBE(sequenceNumber, 5, 6)
    header.writeUInt16BE(fragment.length, 11)
    return Buffer.concat([header, fragment])
  }
}

/** Once the handshake is over, records in clear (epoch 0) can be anyone's and are left out (RFC 6347 §4.1). */
function encryptedRecords(datagram: Buffer): Buffer {
  const records: Buffer[] = []
  for (let at = 0; at + 13 <= datagram.length; ) {
    const end = at + 13 + datagram.readUInt16BE(at + 11)
    if (end > datagram.length) break
    if (datagram.readUInt16BE(at + 3) > 0) records.push(datagram.subarray(at, end))
    at = end
  }
  return Buffer.concat(records)
}

/** RFC 8122 §5; SHA-1 and older are not taken. */
function matches({ algorithm, value }: Fingerprint, certificate: Buffer): boolean {
  const hash = { 'sha-256': 'sha256', 'sha-384': 'sha384', 'sha-512': 'sha512' }[algorithm.toLowerCase()]
  if (!hash) return false
  const actual = createHash(hash).update(certificate).digest('hex')
  return actual === value.replaceAll(':', '').toLowerCase()
}

/** Numbers of hash and algorithm as RFC 5246 §7.4.1.4.1 has them. */
function verifies(certificate: Buffer, hash: number, algorithm: number, signed: Buffer, signature: Buffer): boolean {
  const name = { 4: 'sha256', 5: 'sha384', 6: 'sha512' }[hash]
  const { publicKey } = new X509Certificate(certificate)
  const type = { 1: 'rsa', 3: 'ec' }[algorithm]
  if (!name || publicKey.asymmetricKeyType !== type) return false
  return verify(name, signed, publicKey, signature)
}
