// One WebRTC transport: ICE, DTLS and SRTP of a bundle (RFC 8829 §4.1.1), from the first check to the last packet.

import type { RtpPacket } from '../codec/rtp/packet.ts'
import type { RtcpMessage } from '../codec/rtp/rtcp.ts'
import { parseRtcp } from '../codec/rtp/rtcp.ts'
import { nowMs } from '../core/clock.ts'
import { AppError } from '../core/errors.ts'
import { type Closed, type Context, deadline, type Resource, Scope, sleep } from '../core/resource.ts'
import { type DtlsRole, DtlsSession, dtlsCertificate, type Fingerprint } from './dtls/dtls.ts'
import { SrtpSession } from './dtls/srtp-session.ts'
import { type IceAgent, type IceSettings, openIceAgent } from './ice/agent.ts'
import type { IceCredentials } from './ice/path.ts'

export type RemoteTransport = IceCredentials & {
  fingerprints: Fingerprint[]
  /** Ours; it follows from `a=setup` of the peer. */
  role: DtlsRole
}

type Identity = { role: DtlsRole; fingerprint: Fingerprint }

export type LocalTransport = IceCredentials & Identity & { candidates: readonly string[] }

/** ICE and DTLS together take a few round trips; a peer that needs longer will not come. */
const CONNECT_MS = 10_000
/** Every peer is heard at least each 5 s: checks (RFC 7675 §5.1), reports or media. */
const SILENCE_MS = 20_000
/** A peer by TCP alone whose connection is closed has left, or connects again at once. */
const CUT_OFF_MS = 3000

export async function openPeer(ice: IceSettings, remote: RemoteTransport, { signal }: Context): Promise<Peer> {
  const certificate = await dtlsCertificate()
  const agent = await openIceAgent(ice)
  agent.setRemote(remote)
  const { role, fingerprints } = remote
  const dtls = new DtlsSession({ role, certificate, fingerprints, send: (data) => agent.send(data) })
  return new Peer(agent, dtls, { role, fingerprint: certificate.fingerprint }, signal)
}

export class Peer implements Resource {
  /** Settles when media can pass, or cannot: then with the error that also ends the peer. */
  readonly connected: Promise<void>
  onRtp: (packet: RtpPacket) => void = () => {}
  onRtcp: (messages: RtcpMessage[]) => void = () => {}
  readonly #scope: Scope
  readonly #agent: IceAgent
  readonly #dtls: DtlsSession
  readonly #identity: Identity
  #srtp: SrtpSession | undefined

  constructor(agent: IceAgent, dtls: DtlsSession, identity: Identity, signal?: AbortSignal) {
    this.#agent = agent
    this.#dtls = dtls
    this.#identity = identity
    this.#scope = new Scope(signal)
    this.#scope.defer(() => agent.close())
    this.#scope.defer(() => dtls.close())
    agent.onData = (data) => this.#receive(data)
    this.connected = this.#connect()
    this.connected.catch(() => {})
    this.#scope.spawn((stopped) => this.#run(stopped))
  }

  get closed(): Promise<Closed> {
    return this.#scope.closed
  }

  get local(): LocalTransport {
    return { ...this.#agent.local, ...this.#identity, candidates: this.#agent.candidates }
  }

  /** Bytes by which SRTP makes an RTP packet longer. */
  get overheadBytes(): number {
    return this.#srtp?.overheadBytes ?? 0
  }

  /** See `SrtpCipher.protectRtp`; `packet` is sent when this returns. */
  sendRtp(packet: Buffer, headerBytes: number, payload: Uint8Array, rollover: number): void {
    if (!this.#srtp) return
    this.#srtp.protectRtp(packet, headerBytes, payload, rollover)
    this.#agent.send(packet)
  }

  /** Sends a packet once more, exactly as `sendRtp` left it. */
  resend(packet: Buffer): void {
    this.#agent.send(packet)
  }

  /** Messages of one compound, a report first (RFC 3550 §6.1). */
  sendRtcp(messages: readonly Buffer[]): void {
    if (this.#srtp) this.#agent.send(this.#srtp.protectRtcp(Buffer.concat(messages)))
  }

  /** ICE restart: `local` has new credentials afterwards. */
  restart(remote: IceCredentials): void {
    this.#agent.restart(remote)
  }

  close(): Promise<Closed> {
    return this.#scope.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #connect(): Promise<void> {
    const stopped = Promise.withResolvers<never>()
    stopped.promise.catch(() => {})
    const stop = () => stopped.reject(new AppError('peer-failed', 'the session ended before it was connected'))
    this.#scope.signal.addEventListener('abort', stop, { once: true })
    let reached = false
    const handshake = async () => {
      await this.#agent.reachable
      reached = true
      this.#dtls.start()
      this.#srtp = new SrtpSession(await this.#dtls.keys)
    }
    try {
      await deadline(Promise.race([handshake(), stopped.promise]), CONNECT_MS, 'connecting to the WebRTC peer')
    } catch (thrown) {
      throw reached || this.#scope.signal.aborted ? thrown : this.#unreached()
    }
  }

  /** The commonest trouble of all, and the one that its victim cannot see. */
  #unreached(): AppError {
    const what = 'is the port let through, and is one of the addresses the one by which peers reach this server?'
    return new AppError('timeout', `no packet of the WebRTC peer came within ${CONNECT_MS / 1000} s: ${what}`, {
      retryable: true,
      details: { candidates: this.#agent.candidates },
    })
  }

  async #run(stopped: AbortSignal): Promise<Closed> {
    await this.connected
    void this.#dtls.ended.then(() => this.#scope.end({ why: 'ended' }))
    const patienceMs = () => (this.#agent.hasPath ? SILENCE_MS : CUT_OFF_MS)
    while (nowMs() - this.#agent.heardAt < patienceMs()) {
      this.#agent.keepConsent()
      await sleep(1000, stopped)
    }
    return { why: 'ended' }
  }

  /** RFC 7983 §7 tells the protocols apart by the first byte, RFC 5761 §4 RTP from RTCP by the second. */
  #receive(data: Buffer): void {
    const first = data[0]!
    if (first >= 20 && first <= 63) this.#dtls.receive(data)
    else if (first >= 128 && first <= 191 && this.#srtp && data.length >= 12) {
      const type = data[1]! & 0x7f
      if (type >= 64 && type <= 95) this.#receiveRtcp(this.#srtp, data)
      else this.#receiveRtp(this.#srtp, data)
    }
  }

  #receiveRtp(srtp: SrtpSession, data: Buffer): void {
    const packet = srtp.unprotectRtp(data)
    if (!packet) return
    this.#agent.heardAt = nowMs()
    this.onRtp(packet)
  }

  #receiveRtcp(srtp: SrtpSession, data: Buffer): void {
    const clear = srtp.unprotectRtcp(data)
    if (!clear) return
    this.#agent.heardAt = nowMs()
    this.onRtcp(parseRtcp(clear))
  }
}
