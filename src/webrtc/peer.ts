// One WebRTC transport: ICE, DTLS and SRTP of a bundle (RFC 8829 §4.1.1), from the first check to the last packet.

import type { RtpPacket } from '../codec/rtp/packet.ts'
import type { RtcpMessage } from '../codec/rtp/rtcp.ts'
import { parseRtcp } from '../codec/rtp/rtcp.ts'
import { nowMs } from '../core/clock.ts'
import { AppError } from '../core/errors.ts'
import { type Closed, type Context, deadline, type Resource, Scope, sleep } from '../core/resource.ts'
import { type DtlsRole, DtlsSession, dtlsCertificate, type Fingerprint } from './dtls/dtls.ts'
import { type IceAgent, type IceSettings, openIceAgent } from './ice/agent.ts'
import type { IceCredentials } from './ice/path.ts'
import type { NativeMemory } from './native/memory.ts'
import type { PacketBatch } from './native/packet-batch.ts'
import type { Primitives } from './srtp/primitives.ts'
import { SrtpSession } from './srtp/session.ts'

export type RemoteTransport = IceCredentials & {
  fingerprints: Fingerprint[]
  /** Our own; follows from the peer's `a=setup`. */
  role: DtlsRole
}

type Identity = { role: DtlsRole; fingerprint: Fingerprint }

export type LocalTransport = IceCredentials & Identity & { candidates: readonly string[] }

/** ICE and DTLS together take a few round trips; a peer that takes longer will not connect. */
const CONNECT_MS = 10_000
/** Every peer sends something at least every 5 s: checks (RFC 7675 §5.1), reports or media. */
const SILENCE_MS = 20_000
/** A TCP-only peer whose connection is closed has left, or reconnects at once. */
const CUT_OFF_MS = 3000

/** `answered` settles when the other side can have the answer; the time limit for connecting starts then. */
export async function openPeer(
  ice: IceSettings,
  remote: RemoteTransport,
  { signal }: Context,
  answered: Promise<void> = Promise.resolve(),
): Promise<Peer> {
  const certificate = await dtlsCertificate()
  const agent = await openIceAgent(ice)
  agent.setRemote(remote)
  const { role, fingerprints } = remote
  const dtls = new DtlsSession({ role, certificate, fingerprints, send: (data) => agent.send(data) })
  return new Peer(agent, dtls, { role, fingerprint: certificate.fingerprint }, ice.primitives, answered, signal)
}

export class Peer implements Resource {
  /** Resolves when media can flow; otherwise rejects with the error that also ends the peer. */
  readonly connected: Promise<void>
  onRtp: (packet: RtpPacket) => void = () => {}
  onRtcp: (messages: RtcpMessage[]) => void = () => {}
  readonly #scope: Scope
  readonly #agent: IceAgent
  readonly #dtls: DtlsSession
  readonly #identity: Identity
  readonly #primitives: Primitives | undefined
  readonly #silenceMs: number
  #srtp: SrtpSession | undefined

  constructor(
    agent: IceAgent,
    dtls: DtlsSession,
    identity: Identity,
    primitives: Primitives | undefined,
    answered: Promise<void>,
    signal?: AbortSignal,
    silenceMs = SILENCE_MS,
  ) {
    this.#silenceMs = silenceMs
    this.#agent = agent
    this.#dtls = dtls
    this.#identity = identity
    this.#primitives = primitives
    this.#scope = new Scope(signal)
    this.#scope.defer(() => agent.close())
    this.#scope.defer(() => dtls.close())
    agent.onData = (data) => this.#receive(data)
    this.connected = this.#connect(answered)
    this.connected.catch(() => {})
    this.#scope.spawn((stopped) => this.#run(stopped))
  }

  get closed(): Promise<Closed> {
    return this.#scope.closed
  }

  get local(): LocalTransport {
    return { ...this.#agent.local, ...this.#identity, candidates: this.#agent.candidates }
  }

  /** Bytes that SRTP adds to an RTP packet. */
  get overheadBytes(): number {
    return this.#srtp?.overheadBytes ?? 0
  }

  /** See `SrtpCipher.protectRtp`. False without keys. */
  protectRtp(memory: NativeMemory, at: number, headerBytes: number, payloadBytes: number, rollover: number): boolean {
    this.#srtp?.protectRtp(memory, at, headerBytes, payloadBytes, rollover)
    return this.#srtp !== undefined
  }

  /** Sends protected RTP packets; the batch is free when this returns. */
  sendBatch(batch: PacketBatch): void {
    this.#agent.sendBatch(batch)
  }

  /** Sends messages as one compound, a report first (RFC 3550 §6.1). */
  sendRtcp(messages: readonly Buffer[]): void {
    if (this.#srtp) this.#agent.send(this.#srtp.protectRtcp(Buffer.concat(messages)))
  }

  /** Takes the peer's application data within DTLS: the SCTP packets of data channels (RFC 8261). */
  set onData(take: (data: Buffer) => void) {
    this.#dtls.onData = (data) => {
      this.#agent.heardAt = nowMs()
      take(data)
    }
  }

  sendData(data: Buffer): void {
    this.#dtls.sendData(data)
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

  async #connect(answered: Promise<void>): Promise<void> {
    const stopped = Promise.withResolvers<never>()
    stopped.promise.catch(() => {})
    const stop = () => stopped.reject(new AppError('peer-failed', 'the session ended before it was connected'))
    this.#scope.signal.addEventListener('abort', stop, { once: true })
    let reached = false
    const handshake = async () => {
      await this.#agent.reachable
      reached = true
      this.#dtls.start()
      const keys = await this.#dtls.keys
      if (this.#scope.signal.aborted) return
      const srtp = new SrtpSession(keys, this.#primitives)
      this.#srtp = srtp
      this.#scope.defer(() => {
        this.#srtp = undefined
        srtp.free()
      })
    }
    try {
      const connecting = Promise.race([handshake(), stopped.promise])
      await Promise.race([answered, connecting])
      await deadline(connecting, CONNECT_MS, 'connecting to the WebRTC peer')
    } catch (thrown) {
      throw reached || this.#scope.signal.aborted ? thrown : this.#unreached()
    }
  }

  /** The most common problem, which the user cannot see otherwise. */
  #unreached(): AppError {
    const what = 'is the port let through, and is one of the addresses the one by which peers reach this server?'
    return new AppError('timeout', `no packet from the WebRTC peer arrived within ${CONNECT_MS / 1000} s: ${what}`, {
      retryable: true,
      details: { candidates: this.#agent.candidates },
    })
  }

  async #run(stopped: AbortSignal): Promise<Closed> {
    await this.connected
    void this.#dtls.ended.then(() => this.#scope.end({ why: 'ended' }))
    const patienceMs = () => (this.#agent.hasPath ? this.#silenceMs : CUT_OFF_MS)
    while (nowMs() - this.#agent.heardAt < patienceMs()) {
      this.#agent.keepConsent()
      await sleep(1000, stopped)
    }
    return { why: 'ended' }
  }

  /** RFC 7983 §7 tells protocols apart by the first byte, RFC 5761 §4 RTP from RTCP by the second. */
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
