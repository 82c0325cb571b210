// An ICE agent with host candidates only: RFC 8445 §2.5 and §6.1.1. By default it is lite: it answers checks and lets
// the peer nominate. After `call` it is controlling: it checks the addresses that the peer names, and nominates the
// first that answers.
import { randomBytes } from 'node:crypto'
import { parseBindingRequest, writeBindingSuccess, writeRoleConflict } from '../../codec/stun.ts'
import { nowMs } from '../../core/clock.ts'
import type { PacketBatch } from '../native/packet-batch.ts'
import type { Primitives } from '../srtp/primitives.ts'
import { type IceCredentials, IcePath, type Leading } from './path.ts'
import { type Address, type IcePort, isStun, openPortOfRange, type Receiver } from './port.ts'
import { type HostAddress, hostAddresses } from './sockets.ts'
import type { Source } from './source.ts'

/** A STUN or TURN server for clients, in the form of the browsers' `RTCIceServer`. */
export type IceServer = { urls: string | readonly string[]; username?: string; credential?: string }

export type IceSettings = {
  /** Address to advertise before those of the interfaces. */
  publicIp?: string
  /** The one port of all sessions. */
  sharedPort?: IcePort
  /**
   * Used instead of the shared port: first and last port of a range, of which each session takes one, for UDP and,
   * where free, for TCP.
   */
  udpPorts?: readonly [number, number]
  /** Primitives for encrypting media; default: OpenSSL itself if it can be called. */
  primitives?: Primitives
}

const ANY_PORT = [1024, 65_535] as const
/** Addresses that are checked at once, and the interval. */
const MAX_CALLED = 8
const CALL_EVERY_MS = 50
/** Limit of remembered addresses of one peer: twice its usual number of interfaces. */
const MAX_PATHS = 16

type Accepted = { local: IceCredentials; remote: IceCredentials; username: string }
/** An address of the peer and its path. */
type Way = { source: Source; path: IcePath }

/** Throws `capacity` if all ports of the range are taken. */
export async function openIceAgent({ sharedPort, udpPorts = ANY_PORT, publicIp }: IceSettings): Promise<IceAgent> {
  const port = sharedPort ?? (await openPortOfRange(udpPorts))
  return new IceAgent(port, hostCandidates(publicIp, port.port, hostAddresses(), port.tcp), port !== sharedPort)
}

/**
 * The connection to one peer. Packets are accepted only from addresses that proved, by a check with MESSAGE-INTEGRITY,
 * that they know this session's password, and sent only to those that answered our check; nothing else gets an answer.
 */
export class IceAgent implements Receiver {
  local: IceCredentials = newCredentials()
  /** Values of `a=candidate`. */
  readonly candidates: readonly string[]
  /** Time of the last packet that was proven to be the peer's. */
  heardAt = nowMs()
  /** Takes every packet from a proven address that is not STUN. */
  onData: (data: Buffer) => void = () => {}
  /** Resolves when the first address has answered a check. */
  readonly reachable: Promise<void>
  readonly #port: IcePort
  /** Whether the port belongs to this agent alone. */
  readonly #alone: boolean
  readonly #paths = new Map<string, Way>()
  readonly #reached: () => void
  /** Pairs of credentials that checks may use: those in effect, and those of a restart until they take effect. */
  #accepted: Accepted[] = []
  #selected: Way | undefined
  /** The timer of its own checks; the role stays. */
  #calling: NodeJS.Timeout | undefined
  #leads = false
  #closed = false

  constructor(port: IcePort, candidates: readonly string[], alone: boolean) {
    this.#port = port
    this.#alone = alone
    this.candidates = candidates
    const { promise, resolve } = Promise.withResolvers<void>()
    this.reachable = promise
    this.#reached = resolve
  }

  /** False once the last connection of a peer without UDP is closed; the peer may reconnect. */
  get hasPath(): boolean {
    return this.#selected !== undefined
  }

  /** Sets the credentials of the peer whose checks to answer. */
  setRemote(remote: IceCredentials): void {
    const username = `${this.local.ufrag}:${remote.ufrag}`
    this.#accept([...this.#accepted.slice(0, 1), { local: this.local, remote, username }])
  }

  /**
   * Checks these addresses of the peer until one is nominated; the agent is controlling from now on. Call after
   * `setRemote`.
   */
  call(addresses: readonly Address[]): void {
    this.#leads = true
    for (const address of addresses.slice(0, MAX_CALLED)) {
      const source = this.#port.reach(address)
      if (source) this.#remember(source)
    }
    const knock = () => {
      for (const way of this.#selected ? [this.#selected] : this.#paths.values()) this.#ask(way)
      if (this.#selected?.path.nominated) clearInterval(this.#calling)
    }
    knock()
    this.#calling = setInterval(knock, CALL_EVERY_MS)
  }

  /** New credentials on both sides (RFC 8445 §9); the path in use stays until the peer nominates again. */
  restart(remote: IceCredentials): void {
    this.local = newCredentials()
    this.setRemote(remote)
  }

  /** Call about once a second: renews the peer's consent. */
  keepConsent(now = nowMs()): void {
    // If the path in use has lost consent, one that still has it takes over.
    if (this.#selected && !this.#selected.path.hasConsent(now))
      this.#select(this.#lastWithConsent(now) ?? this.#selected)
    if (this.#selected) this.#ask(this.#selected, now)
  }

  #ask(way: Way, now = nowMs()): void {
    const inEffect = this.#accepted[0]
    const leading: Leading | undefined = this.#leads ? { nominates: way === this.#selected } : undefined
    if (inEffect) way.path.askConsent(inEffect.local, inEffect.remote, now, leading)
  }

  send(data: Buffer): void {
    this.#selected?.path.send(data)
  }

  sendBatch(batch: PacketBatch): void {
    this.#selected?.path.sendBatch(batch)
  }

  async close(): Promise<void> {
    this.#closed = true
    clearInterval(this.#calling)
    this.#selected = undefined
    this.onData = () => {}
    this.#port.name(this, [])
    for (const { source } of this.#paths.values()) this.#port.release(this, source)
    this.#paths.clear()
    if (this.#alone) await this.#port.close()
  }

  receive(data: Buffer, source: Source): boolean {
    const known = this.#paths.get(source.key)
    if (!isStun(data)) {
      if (!known || data.length === 0) return false
      known.path.received(data.length)
      this.onData(data)
      return true
    }
    if (!known?.path.takeAnswer(data)) return this.#check(data, source)
    this.heardAt = nowMs()
    this.#consented(known)
    return true
  }

  /** A connection is gone; another address of the peer may remain. */
  forget(key: string): void {
    const gone = this.#paths.get(key)
    if (!gone) return
    this.#drop(gone)
    if (this.#selected === gone) this.#select(this.#lastWithConsent())
  }

  hasConsent(key: string): boolean {
    return this.#paths.get(key)?.path.hasConsent() ?? false
  }

  #check(data: Buffer, source: Source): boolean {
    const request = parseBindingRequest(data)
    const at = this.#accepted.findIndex(({ username }) => username === request?.username)
    const accepted = this.#accepted[at]
    if (this.#closed || !request || !accepted || !request.signedWith(accepted.local.password)) return false
    const { local, remote } = accepted
    const way = this.#remember(source)
    const { path } = way
    path.received(data.length)
    if (request.controlled !== this.#leads) {
      path.send(writeRoleConflict(request, local.password))
      return true
    }
    this.heardAt = nowMs()
    path.send(writeBindingSuccess(request, path, local.password))
    if (this.#leads) this.#ask(way)
    else path.askConsent(local, remote)
    if (request.useCandidate && !this.#leads) {
      for (const other of this.#paths.values()) other.path.nominated = other === way
      // The port keeps the old ufrags until a restart takes effect.
      if (at > 0) this.#accept(this.#accepted.slice(at))
    }
    if (path.hasConsent()) this.#consented(way)
    return true
  }

  #accept(accepted: Accepted[]): void {
    this.#accepted = accepted
    this.#port.name(
      this,
      accepted.map(({ local }) => local.ufrag),
    )
  }

  /** Uses the first path with consent, and from then on the one that the peer nominates. */
  #consented(way: Way): void {
    if (!this.#selected || (way.path.nominated && !this.#leads)) this.#select(way)
    if (!this.#leads || way.path.nominated) this.#reached()
    else if (way === this.#selected) this.#ask(way)
  }

  #select(way: Way | undefined): void {
    if (way === this.#selected) return
    this.#selected?.source.prefer?.(false)
    this.#selected = way
    way?.source.prefer?.(true)
  }

  #lastWithConsent(now = nowMs()): Way | undefined {
    return [...this.#paths.values()].findLast(({ path }) => path.hasConsent(now))
  }

  #remember(source: Source): Way {
    const known = this.#paths.get(source.key)
    if (!known) this.#port.claim(this, source)
    const way = known ?? { source, path: new IcePath(source) }
    // Re-inserted at the end, so that the first entry is the oldest.
    this.#paths.delete(source.key)
    this.#paths.set(source.key, way)
    const oldest = [...this.#paths.values()].find((one) => one !== this.#selected)
    if (this.#paths.size > MAX_PATHS && oldest) this.#drop(oldest)
    return way
  }

  #drop(way: Way): void {
    this.#paths.delete(way.source.key)
    this.#port.release(this, way.source)
  }
}

/** RFC 8839 §5.4 requires at least 24 bits of ufrag and 128 of password. */
function newCredentials(): IceCredentials {
  return { ufrag: iceText(6), password: iceText(18) }
}

/** Base64 without padding has exactly the characters that ICE allows. */
const iceText = (bytes: number) => randomBytes(bytes).toString('base64')

/** The most likely candidates first, because some clients try only one: UDP before TCP, the public address, IPv4. */
export function hostCandidates(
  publicIp: string | undefined,
  port: number,
  hosts: readonly HostAddress[],
  tcp: boolean,
): string[] {
  const addresses = [...new Set([...(publicIp ? [publicIp] : []), ...hosts.map(({ address }) => address)])]
  // RFC 8445 §5.1.2.1 with component 1; RFC 6544 §4.2 ranks TCP below UDP.
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
