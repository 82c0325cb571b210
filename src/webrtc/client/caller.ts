// The offering side: it sends its description first, and starts ICE checks when the other has answered (RFC 8445
// §6.1.1).
import type { Context } from '../../core/resource.ts'
import { type DtlsCertificate, DtlsSession, dtlsCertificate, type Fingerprint } from '../dtls/dtls.ts'
import { type IceAgent, type IceSettings, openIceAgent } from '../ice/agent.ts'
import type { IceCredentials } from '../ice/path.ts'
import type { Address } from '../ice/port.ts'
import { Peer, type RemoteTransport } from '../peer.ts'

/** The transport part of an offer. */
export type OfferedTransport = IceCredentials & { fingerprint: Fingerprint; candidates: readonly string[] }

/** `silenceMs`: how long the peer may be silent. */
export type CallerContext = Pick<Context, 'signal'> & { silenceMs?: number | undefined }

/** Has a port and waits for an answer. End it with either `connect` or `close`. */
export class Caller {
  readonly local: OfferedTransport
  readonly #agent: IceAgent
  readonly #certificate: DtlsCertificate

  readonly #primitives: IceSettings['primitives']

  private constructor(agent: IceAgent, certificate: DtlsCertificate, primitives: IceSettings['primitives']) {
    this.#agent = agent
    this.#primitives = primitives
    this.#certificate = certificate
    this.local = { ...agent.local, fingerprint: certificate.fingerprint, candidates: agent.candidates }
  }

  /**
   * Uses its own port, because several sessions with one server are told apart only by port. Rejects with `capacity`.
   */
  static async open({ sharedPort: _, ...ice }: IceSettings): Promise<Caller> {
    const certificate = await dtlsCertificate()
    return new Caller(await openIceAgent(ice), certificate, ice.primitives)
  }

  /** Starts checks to these addresses; the resulting peer owns the port. */
  connect(remote: RemoteTransport, addresses: readonly Address[], { signal, silenceMs }: CallerContext): Peer {
    const { role, fingerprints } = remote
    const agent = this.#agent
    const certificate = this.#certificate
    agent.setRemote(remote)
    const dtls = new DtlsSession({ role, certificate, fingerprints, send: (data) => agent.send(data) })
    const identity = { role, fingerprint: certificate.fingerprint }
    const peer = new Peer(agent, dtls, identity, this.#primitives, Promise.resolve(), signal, silenceMs)
    agent.call(addresses)
    return peer
  }

  async close(): Promise<void> {
    await this.#agent.close()
  }
}
