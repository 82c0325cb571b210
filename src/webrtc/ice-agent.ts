// An ICE-lite agent: RFC 8445 §2.5 and §6.1.1. It has host candidates only, answers checks, and lets the peer choose.
import { randomBytes } from 'node:crypto'
import type { RemoteInfo, Socket } from 'node:dgram'
import { parseBindingRequest, writeBindingSuccess, writeRoleConflict } from '../codec/stun.ts'
import { nowMs } from '../core/clock.ts'
import { type HostAddress, hostAddresses, type IceSockets, openIceSockets, type RemoteAddress } from './ice-sockets.ts'

/** A STUN or TURN server for clients, as browsers write it. */
export type IceServer = { urls: string | readonly string[]; username?: string; credential?: string }

export type IceSettings = {
  /** Address to advertise before those of the interfaces. */
  publicIp?: string
  /** First and last UDP port; each session takes one. */
  udpPorts: readonly [number, number]
  /** For clients; the server itself needs none. */
  iceServers: readonly IceServer[]
}

export type IceCredentials = { ufrag: string; password: string }

/** As many addresses of one peer are remembered: its interfaces, twice. */
const MAX_REMOTES = 16

export async function openIceAgent(settings: IceSettings): Promise<IceAgent> {
  return new IceAgent(settings, await openIceSockets(settings.udpPorts))
}

/**
 * The path to one peer. Packets pass only from and to addresses that proved by a signed check (MESSAGE-INTEGRITY) to
 * know the password of this session; all else gets no answer.
 */
export class IceAgent {
  local: IceCredentials = newCredentials()
  readonly candidates: string[]
  /** Time of the last packet that was proven to be the peer's. */
  heardAt = nowMs()
  /** Gets every packet from a proven address that is not STUN. */
  onData: (data: Buffer) => void = () => {}
  /** Resolves when the first address is proven. */
  readonly reachable: Promise<void>
  readonly #sockets: IceSockets
  readonly #remotes = new Map<string, RemoteAddress>()
  readonly #reached: () => void
  /** Pairs of credentials that checks may use: those in effect, and those of a restart until they are. */
  #accepted: { local: IceCredentials; username: string }[] = []
  #selected: RemoteAddress | undefined

  constructor(settings: IceSettings, sockets: IceSockets) {
    this.#sockets = sockets
    this.candidates = hostCandidates(settings.publicIp, sockets.port, hostAddresses())
    const { promise, resolve } = Promise.withResolvers<void>()
    this.reachable = promise
    this.#reached = resolve
    for (const socket of sockets.sockets) socket.on('message', (data, from) => this.#receive(socket, data, from))
  }

  /** Tells the agent whose checks to answer. */
  setRemote(ufrag: string): void {
    this.#accepted = [...this.#accepted.slice(0, 1), { local: this.local, username: `${this.local.ufrag}:${ufrag}` }]
  }

  /** New credentials on both sides (RFC 8445 §9); the path in use stays until the peer chooses again. */
  restart(remoteUfrag: string): void {
    this.local = newCredentials()
    this.setRemote(remoteUfrag)
  }

  send(data: Buffer): void {
    const to = this.#selected
    to?.socket.send(data, to.port, to.address)
  }

  close(): Promise<void> {
    this.#selected = undefined
    this.onData = () => {}
    return this.#sockets.close()
  }

  #receive(socket: Socket, data: Buffer, from: RemoteInfo): void {
    const first = data[0]
    if (first === undefined) return
    // RFC 7983 §7: 0 to 3 is STUN.
    if (first <= 3) this.#check(socket, data, from)
    else if (this.#isSelected(from) || this.#remotes.has(key(from))) this.onData(data)
  }

  #isSelected(from: RemoteInfo): boolean {
    return this.#selected?.port === from.port && this.#selected.address === from.address
  }

  #check(socket: Socket, data: Buffer, from: RemoteInfo): void {
    const request = parseBindingRequest(data)
    const at = this.#accepted.findIndex(({ username }) => username === request?.username)
    const accepted = this.#accepted[at]
    if (!request || !accepted || !request.signedWith(accepted.local.password)) return
    const { password } = accepted.local
    if (request.controlled) {
      socket.send(writeRoleConflict(request, password), from.port, from.address)
      return
    }
    this.heardAt = nowMs()
    socket.send(writeBindingSuccess(request, from, password), from.port, from.address)
    const remote = this.#remember(socket, from)
    if (request.useCandidate) {
      this.#selected = remote
      this.#accepted.splice(0, at)
    }
    this.#selected ??= remote
    this.#reached()
  }

  #remember(socket: Socket, { address, port }: RemoteInfo): RemoteAddress {
    const name = key({ address, port })
    const remote = this.#remotes.get(name) ?? { socket, address, port }
    // The newest stand last, so that the first one is the one to forget.
    this.#remotes.delete(name)
    this.#remotes.set(name, remote)
    if (this.#remotes.size > MAX_REMOTES) this.#remotes.delete(this.#remotes.keys().next().value!)
    return remote
  }
}

const key = ({ address, port }: { address: string; port: number }) => `${address} ${port}`

/** RFC 8839 §5.4 asks for at least 24 bits of ufrag and 128 of password. */
function newCredentials(): IceCredentials {
  return { ufrag: iceText(6), password: iceText(18) }
}

/** Base64 of random bytes has exactly the characters that ICE allows, as long as nothing is padded. */
const iceText = (bytes: number) => randomBytes(bytes).toString('base64')

/** Values of `a=candidate` (RFC 8839 §5.1), the most likely first since some clients look at one only. */
export function hostCandidates(publicIp: string | undefined, port: number, hosts: readonly HostAddress[]): string[] {
  const addresses = [...new Set([...(publicIp ? [publicIp] : []), ...hosts.map(({ address }) => address)])]
  return addresses.map((address, i) => {
    // RFC 8445 §5.1.2.1 with component 1.
    const priority = 126 * 2 ** 24 + (65535 - i) * 2 ** 8 + 255
    return `${i + 1} 1 udp ${priority} ${address} ${port} typ host`
  })
}
