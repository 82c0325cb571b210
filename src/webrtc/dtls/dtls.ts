// The DTLS handshake that gives SRTP its keys (RFC 5763, RFC 5764), using werift.
// Bound: a handshake is 128 KiB at most, of which `HandshakeOrder` gives werift each message once.
import { createHash, verify, X509Certificate } from 'node:crypto'
import { createSelfSignedCertificate, DtlsClient, DtlsServer } from 'werift'
import { AppError } from '../../core/errors.ts'
import { MASTER_KEY_BYTES, masterSaltBytes, SRTP_PROFILES, type SrtpProfile } from '../srtp/profile.ts'
import { ReplayWindow, type SrtpKeys } from '../srtp/session.ts'
import { HandshakeOrder } from './handshake-order.ts'

export type Fingerprint = { algorithm: string; value: string }

export type DtlsCertificate = {
  certPem: string
  keyPem: string
  fingerprint: Fingerprint
}

/** The client starts the handshake (`a=setup:active`). */
export type DtlsRole = 'server' | 'client'

const HANDSHAKE = { certificateVerify: 15, serverKeyExchange: 12 } as const
/** Content types of records (RFC 5246 §6.2.1). */
const RECORD = { alert: 21, handshake: 22, data: 23 } as const
const RECORD_HEADER_BYTES = 13
/** Handshake bytes of the peer; 2 to 4 KiB are usual, and losses repeat some of them. */
const MAX_HANDSHAKE_BYTES = 128 * 1024
const WARNING = 1
const FATAL = 2
const CLOSE_NOTIFY = 0
const SIGNATURE = { signature: 3, hash: 4 } as const
const P256 = 23
const CERTIFICATE_LIFE_MS = 7 * 24 * 3600 * 1000

let current: { certificate: Promise<DtlsCertificate>; madeAt: number } | undefined

/** The certificate of this process, renewed each week. */
export function dtlsCertificate(now = Date.now()): Promise<DtlsCertificate> {
  if (!current || now - current.madeAt >= CERTIFICATE_LIFE_MS) current = { certificate: makeCertificate(), madeAt: now }
  return current.certificate
}

async function makeCertificate(): Promise<DtlsCertificate> {
  const { certPem, keyPem } = await createSelfSignedCertificate(SIGNATURE, P256)
  const value = new X509Certificate(certPem).fingerprint256
  return { certPem, keyPem, fingerprint: { algorithm: 'sha-256', value } }
}

export type DtlsOptions = {
  role: DtlsRole
  certificate: DtlsCertificate
  /** Fingerprints from the peer's session description. */
  fingerprints: readonly Fingerprint[]
  send: (data: Buffer) => void
}

/** One handshake, and the alerts and data after it. Sends nothing after `close`. */
export class DtlsSession {
  /** Resolves when the peer has proved that it owns the certificate it announced; rejects with `peer-failed`. */
  readonly keys: Promise<SrtpKeys>
  /** Resolves when the peer, authenticated, closes the session. */
  readonly ended: Promise<void>
  readonly #end: () => void
  readonly #socket: DtlsServer | DtlsClient
  readonly #options: DtlsOptions
  readonly #fail: (thrown: unknown) => void
  /** Takes the peer's application data; data that comes while it is undefined is lost. Each datagram comes once. */
  onData: ((data: Buffer) => void) | undefined
  readonly #order: HandshakeOrder
  #received: ReplayWindow | undefined
  #handshakeBytes = 0
  #established = false
  #closed = false

  constructor(options: DtlsOptions) {
    this.#options = options
    this.#order = new HandshakeOrder(options.role)
    const { certPem, keyPem } = options.certificate
    const settings = {
      cert: certPem,
      key: keyPem,
      signatureHash: SIGNATURE,
      srtpProfiles: Object.values(SRTP_PROFILES),
      extendedMasterSecret: true,
      // As a client, werift would wait for the request, which ffmpeg does not send.
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
    this.#end = ended.resolve
    const keys = Promise.withResolvers<SrtpKeys>()
    this.keys = keys.promise
    this.keys.catch(() => {})
    const fail = (thrown: unknown) => keys.reject(AppError.from(thrown, 'peer-failed'))
    this.#fail = fail
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

  /** A client starts; a server waits. */
  start(): void {
    if (this.#socket instanceof DtlsClient)
      void this.#socket.connect().catch((err) => this.#socket.onError.execute(err))
  }

  receive(data: Buffer): void {
    if (this.#closed) return
    if (!this.#established) {
      this.#handshakeBytes += data.length
      if (this.#handshakeBytes > MAX_HANDSHAKE_BYTES) {
        this.#fail(new AppError('peer-failed', `the DTLS handshake has over ${MAX_HANDSHAKE_BYTES} bytes`))
        return
      }
    }
    try {
      const give = (record: Buffer) => this.#socket.transport.socket.onData(record, ['', 0])
      if (!this.#established) this.#order.pass(data, give)
      else for (const record of this.#encryptedHandshakes(data)) give(record)
    } catch {
      // A datagram that is not DTLS is discarded (RFC 6347 §4.1.2.7).
    }
  }

  /** Sends application data, once the handshake is complete. */
  sendData(data: Buffer): void {
    if (this.#established && !this.#closed) this.#options.send(this.#sealed(RECORD.data, data))
  }

  /** Sends close_notify and stops the retransmission of handshake messages. */
  close(): void {
    if (this.#closed) return
    if (this.#established) this.#options.send(this.#sealed(RECORD.alert, Buffer.from([WARNING, CLOSE_NOTIFY])))
    this.#closed = true
    this.#socket.dtls.flight = Number.POSITIVE_INFINITY
  }

  #finish(): SrtpKeys {
    const profile = this.#socket.srtp.srtpProfile as SrtpProfile | undefined
    if (!profile) throw new AppError('peer-failed', 'the peer offered no SRTP protection profile that is supported')
    const certificate = this.#socket.remoteCertificate
    if (!certificate) throw new AppError('peer-failed', 'the peer presented no certificate')
    if (!this.#options.fingerprints.some((one) => matches(one, certificate))) {
      throw new AppError(
        'peer-failed',
        'the certificate does not match the fingerprint in the session description of the peer',
      )
    }
    if (!this.#provesOwnership(certificate)) {
      throw new AppError('peer-failed', 'the peer did not prove that the certificate is its own')
    }
    this.#established = true
    return { profile, ...this.#socket.extractSessionKeys(MASTER_KEY_BYTES, masterSaltBytes(profile)) }
  }

  /**
   * werift verifies no signature: without this check anyone on the path could present another's certificate, which is
   * sent in clear, and be taken for its owner.
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

  /**
   * What werift still needs after the handshake: the encrypted end of a handshake, retransmitted because ours was lost.
   * Records in clear may be anyone's (RFC 6347 §4.1), and werift ends a session on any alert, authentic or not, and on
   * unknown content.
   */
  #encryptedHandshakes(datagram: Buffer): Buffer[] {
    const handshakes: Buffer[] = []
    for (let at = 0; at + RECORD_HEADER_BYTES <= datagram.length; ) {
      const end = at + RECORD_HEADER_BYTES + datagram.readUInt16BE(at + 11)
      const isEncrypted = end <= datagram.length && datagram.readUInt16BE(at + 3) > 0
      if (isEncrypted && datagram[at] === RECORD.handshake) handshakes.push(datagram.subarray(at, end))
      if (isEncrypted && datagram[at] === RECORD.alert) this.#alert(datagram.subarray(at, end))
      if (isEncrypted && datagram[at] === RECORD.data) this.#data(datagram.subarray(at, end))
      at = end
    }
    return handshakes
  }

  /** Fatal alerts and close_notify end the session (RFC 5246 §7.2). Throws if the alert is not authentic. */
  #alert(record: Buffer): void {
    const [level, description] = this.#opened(RECORD.alert, record)
    if (level === FATAL || description === CLOSE_NOTIFY) this.#end()
  }

  /** Throws if it is not authentic; duplicates are skipped (RFC 6347 §4.1.2.6). */
  #data(record: Buffer): void {
    if (!this.onData) return
    const sequence = record.readUIntBE(5, 6)
    if (this.#received?.has(sequence)) return
    const data = this.#opened(RECORD.data, record)
    this.#received ??= new ReplayWindow()
    this.#received.add(sequence)
    this.onData(data)
  }

  #opened(type: number, record: Buffer): Buffer {
    const { cipher, dtls } = this.#socket
    const header = recordHeader(type, dtls.version, record.readUInt16BE(3), record.readUIntBE(5, 6), record.length)
    const fragment = record.subarray(RECORD_HEADER_BYTES)
    return cipher.decryptPacket({ recordLayerHeader: header, fragment } as DtlsRecord)
  }

  #sealed(type: number, content: Buffer): Buffer {
    const { dtls, cipher } = this.#socket
    const { major, minor } = dtls.version
    const recordLayerHeader = recordHeader(type, dtls.version, dtls.epoch, ++dtls.recordSequenceNumber, content.length)
    const { fragment } = cipher.encryptPacket({ recordLayerHeader, fragment: content } as DtlsRecord)
    const header = Buffer.alloc(RECORD_HEADER_BYTES)
    header.set([type, major, minor])
    header.writeUInt16BE(dtls.epoch, 3)
    header.writeUIntBE(recordLayerHeader.sequenceNumber, 5, 6)
    header.writeUInt16BE(fragment.length, 11)
    return Buffer.concat([header, fragment])
  }
}

type DtlsRecord = Parameters<DtlsServer['cipher']['encryptPacket']>[0]
type Version = { major: number; minor: number }

/** In werift's form. */
function recordHeader(type: number, version: Version, epoch: number, sequenceNumber: number, bytes: number) {
  return { contentType: type, protocolVersion: version, epoch, sequenceNumber, contentLen: bytes }
}

/** RFC 8122 §5; SHA-1 and older are not accepted. */
function matches({ algorithm, value }: Fingerprint, certificate: Buffer): boolean {
  const hash = { 'sha-256': 'sha256', 'sha-384': 'sha384', 'sha-512': 'sha512' }[algorithm.toLowerCase()]
  if (!hash) return false
  const actual = createHash(hash).update(certificate).digest('hex')
  return actual === value.replaceAll(':', '').toLowerCase()
}

/** Hash and algorithm are numbered as in RFC 5246 §7.4.1.4.1. */
function verifies(certificate: Buffer, hash: number, algorithm: number, signed: Buffer, signature: Buffer): boolean {
  const name = { 4: 'sha256', 5: 'sha384', 6: 'sha512' }[hash]
  const { publicKey } = new X509Certificate(certificate)
  const type = { 1: 'rsa', 3: 'ec' }[algorithm]
  if (!name || publicKey.asymmetricKeyType !== type) return false
  return verify(name, signed, publicKey, signature)
}
