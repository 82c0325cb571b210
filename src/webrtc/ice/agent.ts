// An ICE-lite agent: RFC 8445 §2.5 and §6.1.1. It has host candidates only, answers checks, and lets the peer choose.
import { randomBytes } from 'node:crypto'
import type { RemoteInfo, Socket } from 'node:dgram'
import { parseBindingRequest, writeBindingSuccess, writeRoleConflict } from '../../codec/stun.ts'
import { nowMs } from '../../core/clock.ts'
import { type IceCredentials, IcePath, type PathOptions } from './path.ts'
import { type HostAddress, hostAddresses, type IceSockets, openIceSockets } from './sockets.ts'
import { listenTcp, type TcpListener, type TcpPeer } from './tcp.ts'

/** A STUN or TURN server for clients, as browsers write it. */
export type IceServer = { urls: string | readonly string[]; username?: string; credential?: string }

export type IceSettings = {
  /** Address to advertise before those of the interfaces. */
  publicIp?: string
  /** First and last port; each session takes one, for UDP and, where it is free, for TCP. */
  udpPorts: readonly [number, number]
  /** For clients; the server itself needs none. */
  iceServers: readonly IceServer[]
}

/** As many addresses of one peer are remembered: its interfaces, twice. */
const MAX_PATHS = 16

/** Throws `capacity` when all ports are taken. */
export async function openIceAgent(settings: IceSettings): Promise<IceAgent> {
  const sockets = await openIceSockets(settings.udpPorts)
  const agent = new IceAgent(sockets)
  await agent.open(settings.publicIp)
  return agent
}

/**
 * The path to one peer. Packets pass only from addresses that proved by a signed check (MESSAGE-INTEGRITY) to know the
 * password of this session, and only to those that answered a check of ours; all else gets no answer.
 */
export class IceAgent {
  local: IceCredentials = newCredentials()
  /** Values of `a=candidate`. */
  candidates: readonly string[] = []
  /** Time of the last packet that was proven to be the peer's. */
  heardAt = nowMs()
  /** Gets every packet from a proven address that is not STUN. */
  onData: (data: Buffer) => void = () => {}
  /** Resolves when the first address has answered a check. */
  readonly reachable: Promise<void>
  readonly #sockets: IceSockets
  readonly #paths = new Map<string, IcePath>()
  readonly #reached: () => void
  /** Pairs of credentials that checks may use: those in effect, and those of a restart until they are. */
  #accepted: { local: IceCredentials; remote: IceCredentials; username: string }[] = []
  #selected: IcePath | undefined
  #tcp: TcpListener | undefined

  constructor(sockets: IceSockets) {
    this.#sockets = sockets
    const { promise, resolve } = Promise.withResolvers<void>()
    this.reachable = promise
    this.#reached = resolve
    for (const socket of sockets.sockets) socket.on('message', (data, from) => this.#receiveUdp(socket, data, from))
  }

  /** Listens for TCP too, and makes the candidates. */
  async open(publicIp: string | undefined): Promise<void> {
    const { port } = this.#sockets
    this.#tcp = await listenTcp(port, {
      onPacket: (peer, data) => this.#receiveTcp(peer, data),
      onClose: (peer) => this.#forget(peer),
      isProven: (peer) => this.#paths.has(tcpKey(peer)),
    })
    this.candidates = hostCandidates(publicIp, port, hostAddresses(), this.#tcp !== undefined)
  }

  /** False once the last connection of a peer without UDP is closed; it may still come back. */
  get hasPath(): boolean {
    return this.#selected !== undefined
  }

  /** Tells the agent whose checks to answer. */
  setRemote(remote: IceCredentials): void {
    const username = `${this.local.ufrag}:${remote.ufrag}`
    this.#accepted = [...this.#accepted.slice(0, 1), { local: this.local, remote, username }]
  }

  /** New credentials on both sides (RFC 8445 §9); the path in use stays until the peer chooses again. */
  restart(remote: IceCredentials): void {
    this.local = newCredentials()
    this.setRemote(remote)
  }

  /** Call about once a second: asks the peer whether it still wants what is sent to it. */
  keepConsent(): void {
    // A path whose consent is over gives way to one that still has it.
    if (this.#selected && !this.#selected.hasConsent())
      this.#selected = [...this.#paths.values()].findLast((path) => path.hasConsent()) ?? this.#selected
    const inEffect = this.#accepted[0]
    if (inEffect) this.#selected?.askConsent(inEffect.local, inEffect.remote)
  }

  send(data: Buffer): void {
    this.#selected?.send(data)
  }

  async close(): Promise<void> {
    this.#selected = undefined
    this.onData = () => {}
    await Promise.all([this.#sockets.close(), this.#tcp?.close()])
  }

  #receiveUdp(socket: Socket, data: Buffer, from: RemoteInfo): void {
    const { address, port } = from
    if (isStun(data)) {
      const send = (out: Buffer) => socket.send(out, port, address)
      this.#stun(data, udpKey(from), { address, port, send, connected: false })
      return
    }
    const path = this.#isSelected(from) ? this.#selected : this.#paths.get(udpKey(from))
    if (!path) return
    path.received(data.length)
    this.onData(data)
  }

  #receiveTcp(peer: TcpPeer, data: Buffer): void {
    const { address, port } = peer
    if (isStun(data)) this.#stun(data, tcpKey(peer), { address, port, send: (out) => peer.send(out), connected: true })
    else if (data.length > 0 && this.#paths.has(tcpKey(peer))) this.onData(data)
  }

  #isSelected(from: RemoteInfo): boolean {
    return this.#selected?.port === from.port && this.#selected.address === from.address
  }

  #stun(data: Buffer, key: string, from: PathOptions): void {
    const known = this.#paths.get(key)
    if (known?.takeAnswer(data)) {
      this.heardAt = nowMs()
      this.#consented(known)
    } else this.#check(data, key, from)
  }

  #check(data: Buffer, key: string, from: PathOptions): void {
    const request = parseBindingRequest(data)
    const at = this.#accepted.findIndex(({ username }) => username === request?.username)
    const accepted = this.#accepted[at]
    if (!request || !accepted || !request.signedWith(accepted.local.password)) return
    const { local, remote } = accepted
    const path = this.#remember(key, from)
    path.received(data.length)
    if (request.controlled) {
      path.send(writeRoleConflict(request, local.password))
      return
    }
    this.heardAt = nowMs()
    path.send(writeBindingSuccess(request, path, local.password))
    path.askConsent(local, remote)
    if (request.useCandidate) {
      for (const other of this.#paths.values()) other.nominated = other === path
      this.#accepted.splice(0, at)
    }
    if (path.hasConsent()) this.#consented(path)
  }

  /** The first path that may be used is, and from then on the one that the peer chose. */
  #consented(path: IcePath): void {
    if (path.nominated || !this.#selected) this.#selected = path
    this.#reached()
  }

  #remember(key: string, from: PathOptions): IcePath {
    const path = this.#paths.get(key) ?? new IcePath(from)
    // The newest stand last, so that the first one is the one to forget.
    this.#paths.delete(key)
    this.#paths.set(key, path)
    if (this.#paths.size > MAX_PATHS) {
      for (const [oldest, one] of this.#paths) {
        if (one === this.#selected) continue
        this.#paths.delete(oldest)
        break
      }
    }
    return path
  }

  /** A connection is gone; another address of the peer may still be there. */
  #forget(peer: TcpPeer): void {
    const path = this.#paths.get(tcpKey(peer))
    this.#paths.delete(tcpKey(peer))
    if (path && this.#selected === path) this.#selected = [...this.#paths.values()].findLast((one) => one.hasConsent())
  }
}

/** RFC 7983 §7: 0 to 3. */
const isStun = (data: Buffer): boolean => data.length > 0 && data[0]! <= 3
const udpKey = ({ address, port }: { address: string; port: number }) => `udp ${address} ${port}`
const tcpKey = ({ address, port }: { address: string; port: number }) => `tcp ${address} ${port}`

/** RFC 8839 §5.4 asks for at least 24 bits of ufrag and 128 of password. */
function newCredentials(): IceCredentials {
  return { ufrag: iceText(6), password: iceText(18) }
}

/** Base64 of random bytes has exactly the characters that ICE allows, as long as nothing is padded. */
const iceText = (bytes: number) => randomBytes(bytes).toString('base64')

/** The most likely first, since some clients look at one only: UDP before TCP, the public address, IPv4. */
export function hostCandidates(
  publicIp: string | undefined,
  port: number,
  hosts: readonly HostAddress[],
  tcp: boolean,
): string[] {
  const addresses = [...new Set([...(publicIp ? [publicIp] : []), ...hosts.map(({ address }) => address)])]
  // RFC 8445 §5.1.2.1 with component 1; RFC 6544 §4.2 puts TCP behind UDP.
  const priority = (type: number, preference: number) => type * 2 ** 24 + preference * 2 ** 8 + 255
  const udp = addresses.map((address, i) => `${i + 1} 1 udp ${priority(126, 65_535 - i)} ${address} ${port} typ host`)
  if (!tcp) return udp
  return udp.concat(
    addresses.map((address, i) => {
      const foundation = addresses.length + i + 1
      return `${foundation} 1 tcp ${priority(90, 65_535 - i)} ${address} ${port} typ host tcptype passive`
    }),
  )
}
