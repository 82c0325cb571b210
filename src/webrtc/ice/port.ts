// One port for UDP and TCP, and the sessions behind it: a check is assigned by its ufrag (RFC 8445 §7.3), all other
// packets by address.
import type { RemoteInfo, Socket } from 'node:dgram'
import { isIPv6 } from 'node:net'
import { parseBindingRequest } from '../../codec/stun.ts'
import { AppError } from '../../core/errors.ts'
import { nativeUdp } from '../native/load-udp.ts'
import type { NativeUdp } from '../native/udp.ts'
import { bindBoth, closeUdp } from './sockets.ts'
import { type Source, UdpSource } from './source.ts'
import { listenTcp, type TcpListener, type TcpPeer } from './tcp.ts'

/** A session's handling of its packets. */
export type Receiver = {
  /** True if the packet was accepted. */
  receive(data: Buffer, source: Source): boolean
  /** The connection is gone. */
  forget(key: string): void
  /** Whether the address has answered a check of this session. */
  hasConsent(key: string): boolean
}

/** Limit of sessions that one address may belong to: a client may run several over one socket. */
const MAX_CLAIMS = 4
/** Attempts to find a port that is free for both UDP and TCP. */
const FREE_PORT_TRIES = 20
/** On Linux a connected socket gets only its peer's packets, and sending with it costs less. */
const CONNECTS = process.platform === 'linux'

/** For UDP and ICE-TCP if nothing else is set; other WebRTC servers also use it. */
export const DEFAULT_PORT = 8189

export type Address = { address: string; port: number }

type Claim = { receiver: Receiver; source: Source }

/**
 * Opens the port of all sessions; 0 is any free one. Undefined if another process has it. UDP ports can be shared
 * between sockets, and a second server would silently take part of the packets; TCP on the same number excludes it.
 * Packets are sent by system calls where available, unless `native` is false.
 */
export async function openSharedPort(port: number, native = true): Promise<IcePort | undefined> {
  for (let i = 0; i < (port === 0 ? FREE_PORT_TRIES : 1); i++) {
    const ice = new IcePort(true, native ? nativeUdp() : undefined)
    if (await ice.open(port)) return ice
    await ice.close()
  }
  return
}

/** The first free port of the range, starting from a random one. Throws `capacity` if all are taken. */
export async function openPortOfRange([min, max]: readonly [number, number]): Promise<IcePort> {
  const count = max - min + 1
  const first = Math.floor(Math.random() * count)
  for (let i = 0; i < count; i++) {
    const ice = new IcePort(false, undefined)
    if (await ice.open(min + ((first + i) % count))) return ice
  }
  throw new AppError('capacity', `all UDP ports from ${min} to ${max} are taken`, { retryable: true })
}

export class IcePort implements AsyncDisposable {
  port = 0
  readonly #shared: boolean
  readonly #native: NativeUdp | undefined
  readonly #receivers = new Map<string, Receiver>()
  readonly #claims = new Map<string, Claim[]>()
  #sockets: Socket[] = []
  #tcp: TcpListener | undefined

  /** `shared` by many sessions, or owned by one. With `native`, many packets to one peer are sent in one call. */
  constructor(shared: boolean, native: NativeUdp | undefined) {
    this.#shared = shared
    this.#native = native
  }

  /** Whether it also listens on TCP. */
  get tcp(): boolean {
    return this.#tcp !== undefined
  }

  /** False if the port is taken; a session's own port may be UDP only. */
  async open(port: number): Promise<boolean> {
    if (this.#shared && !(await this.#listen(port))) return false
    this.port = this.#tcp?.port ?? port
    const sockets = await this.#bind()
    if (!sockets) return false
    this.#sockets = sockets
    for (const socket of sockets) socket.on('message', (data, from) => this.#receiveUdp(socket, data, from))
    if (!this.#shared) await this.#listen(port)
    return true
  }

  async close(): Promise<void> {
    for (const claims of this.#claims.values()) for (const { source } of claims) source.close()
    const sockets = this.#sockets
    this.#sockets = []
    await Promise.all([closeUdp(sockets), this.#tcp?.close()])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** Checks for exactly these ufrags go to `receiver` from now on. */
  name(receiver: Receiver, ufrags: readonly string[]): void {
    for (const [ufrag, one] of this.#receivers) if (one === receiver) this.#receivers.delete(ufrag)
    for (const ufrag of ufrags) this.#receivers.set(ufrag, receiver)
  }

  /** Packets from this address go to `receiver`, unless the address has answered another session's checks. */
  claim(receiver: Receiver, source: Source): void {
    const { key } = source
    const claims = this.#claims.get(key) ?? []
    if (claims.length >= MAX_CLAIMS) {
      const weakest = claims.find((claim) => !claim.receiver.hasConsent(key)) ?? claims[0]!
      claims.splice(claims.indexOf(weakest), 1)
    }
    this.#claims.set(key, [...claims, { receiver, source }])
  }

  /** The source for an address that a peer has named; undefined if this machine lacks the address family. */
  reach(to: Address): Source | undefined {
    const family = isIPv6(to.address) ? 'IPv6' : 'IPv4'
    const socket = this.#sockets.find((one) => one.address().family === family)
    return socket && this.#udpSource(socket, to, true)
  }

  release(receiver: Receiver, source: Source): void {
    const left = (this.#claims.get(source.key) ?? []).filter((claim) => claim.receiver !== receiver)
    if (left.length > 0) this.#claims.set(source.key, left)
    else this.#claims.delete(source.key)
    source.close()
  }

  async #listen(port: number): Promise<boolean> {
    const sources = new Map<TcpPeer, Source>()
    this.#tcp = await listenTcp(port, {
      onPacket: (peer, data) => {
        const key = `tcp ${peer.address} ${peer.port}`
        const source = sources.get(peer) ?? { ...peer, key, connected: true }
        sources.set(peer, source)
        this.#receive(data, key, () => source)
      },
      onClose: (peer) => {
        const source = sources.get(peer)
        sources.delete(peer)
        for (const { receiver } of this.#claims.get(source?.key ?? '') ?? []) receiver.forget(source!.key)
      },
      isProven: (peer) => this.#claims.has(sources.get(peer)?.key ?? ''),
    })
    return this.#tcp !== undefined
  }

  async #bind(): Promise<Socket[] | undefined> {
    const alone = await bindBoth(this.port)
    if (!alone || !this.#shared || !CONNECTS) return alone
    // Binding without sharing worked, so no other process has it.
    await closeUdp(alone)
    return await bindBoth(this.port, true)
  }

  #receiveUdp(socket: Socket, data: Buffer, from: RemoteInfo): void {
    const key = keyOf(from)
    this.#receive(data, key, () => this.#udpSource(socket, from))
  }

  #udpSource(socket: Socket, { address, port }: Address, called = false): Source {
    const key = keyOf({ address, port })
    if (!this.#shared || !CONNECTS) return new UdpSource({ key, address, port, called, common: socket })
    const onData = (packet: Buffer, sender: RemoteInfo, source: Source) => {
      // Between binding and connecting, a socket also gets packets of others.
      if (sender.port !== port || sender.address !== address) this.#receiveUdp(socket, packet, sender)
      else this.#receive(packet, key, () => source)
    }
    const connection = { localPort: this.port, native: this.#native, onData }
    return new UdpSource({ key, address, port, called, common: socket, connection })
  }

  #receive(data: Buffer, key: string, source: () => Source): void {
    const claims = this.#claims.get(key)
    if (!isStun(data)) {
      if (!claims) return
      const claim = claims.length === 1 ? claims[0]! : this.#owner(claims, key)
      claim.receiver.receive(data, claim.source)
      return
    }
    const username = parseBindingRequest(data)?.username
    if (username === undefined) {
      // Only the transaction id of an answer says whose check it answers.
      claims?.some((claim) => claim.receiver.receive(data, claim.source))
      return
    }
    const receiver = this.#receivers.get(username.slice(0, username.indexOf(':')))
    if (!receiver) return
    receiver.receive(data, claims?.find((claim) => claim.receiver === receiver)?.source ?? source())
  }

  #owner(claims: readonly Claim[], key: string): Claim {
    return claims.find(({ receiver }) => receiver.hasConsent(key)) ?? claims.at(-1)!
  }
}

const keyOf = ({ address, port }: Address): string => `udp ${address} ${port}`

/** RFC 7983 §7: 0 to 3. */
export const isStun = (data: Buffer): boolean => data.length > 0 && data[0]! <= 3
