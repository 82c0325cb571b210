import { promises as dns, type LookupAddress } from 'node:dns'
import { BlockList, isIP, type LookupFunction } from 'node:net'
import { AppError } from './errors.ts'
import { deadline } from './resource.ts'

/** A checked URL, with what a client needs to contact only the checked address. */
export type Target = {
  /** http or https. */
  url: string
  /** Returns the checked addresses; undefined if any address is allowed. */
  lookup?: LookupFunction
  /** False accepts any certificate. */
  rejectUnauthorized: boolean
  /** Sent with every request. */
  headers?: Record<string, string>
}

/** A checked media server, to be contacted at this address only, whatever its name resolves to later. */
export type MediaTarget = {
  /** With its credentials. */
  url: URL
  address: string
  port: number
  /** False accepts any certificate. */
  rejectUnauthorized: boolean
}

export type UrlGuardOptions = {
  /** Origins allowed whatever their address, such as `http://10.0.0.5:8935` and `rtsp://10.0.0.7:554`. */
  allowed: readonly string[]
  /** Whether to verify certificates of trickle servers and orchestrators. */
  verifyTls: boolean
  /** Whether to verify certificates of media servers; default: as `verifyTls`. */
  verifyMediaTls?: boolean
  /** Replaces the system's resolver. */
  resolve?(host: string): Promise<LookupAddress[]>
}

const RESOLVE_MS = 5000

/** Default ports by scheme. */
const PORTS: Record<string, number> = {
  'http:': 80,
  'https:': 443,
  'rtsp:': 554,
  'rtsps:': 322,
  'rtmp:': 1935,
  'rtmps:': 443,
}

/** Scheme, host and port, also for schemes without an origin in the platform: safe to show when the URL has secrets. */
export function originOf(url: URL): string {
  if (/^https?:$/.test(url.protocol)) return url.origin
  return `${url.protocol}//${url.hostname.toLowerCase()}:${url.port || PORTS[url.protocol] || 0}`
}

/** IPv4 ranges that are not public hosts (IANA special-purpose registry), and cloud metadata addresses. */
const REFUSED_V4: [network: string, prefix: number][] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['168.63.129.16', 32],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
]

/** Only the global unicast range of IPv6 is public; these parts of it map to IPv4 or to nothing. */
const PUBLIC_V6: [network: string, prefix: number] = ['2000::', 3]
const REFUSED_V6: [network: string, prefix: number][] = [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
]

const refusedV4 = listOf(REFUSED_V4, 'ipv4')
const publicV6 = listOf([PUBLIC_V6], 'ipv6')
const refusedV6 = listOf(REFUSED_V6, 'ipv6')

/** Whether an address is on the public internet; loopback, private, link-local and cloud metadata addresses are not. */
export function isPublicAddress(address: string): boolean {
  const family = isIP(address)
  if (family === 4) return !refusedV4.check(address, 'ipv4')
  if (family === 6) return publicV6.check(address, 'ipv6') && !refusedV6.check(address, 'ipv6')
  return false
}

/**
 * Decides which addresses a request may make this server contact. A name is resolved once, and the client gets the
 * checked addresses, so that a later answer of the resolver has no effect.
 */
export class UrlGuard {
  readonly #allowed: ReadonlySet<string>
  readonly #options: UrlGuardOptions

  constructor(options: UrlGuardOptions) {
    this.#options = options
    this.#allowed = new Set(options.allowed)
  }

  /**
   * `field` names the URL in errors; `what` decides whether its certificate is verified.
   * @throws AppError `invalid-request` for a URL that may not be contacted.
   */
  async check(text: string, field: string, what: 'trickle' | 'media' = 'trickle'): Promise<Target> {
    const url = URL.parse(text)
    if (!url || !/^https?:$/.test(url.protocol))
      throw refusal(field, 'must be a URL that begins with http:// or https://')
    const { verifyTls } = this.#options
    const target = { url: url.href, rejectUnauthorized: what === 'media' ? this.#verifyMediaTls : verifyTls }
    if (this.#allowed.has(url.origin)) return target
    const addresses = await this.#lookAt(url, field)
    return isIP(hostOf(url)) ? target : { ...target, lookup: pinned(addresses) }
  }

  /** Whether media may be sent to or come from `address`, as requested by the server at `url`. */
  reaches(url: string, address: string): boolean {
    return this.#allowed.has(originOf(new URL(url))) || isPublicAddress(address)
  }

  /**
   * The same for a media server with one of these schemes (such as `rtsp`, without a colon).
   * @throws AppError `invalid-request` likewise.
   */
  async checkMedia(text: string, field: string, schemes: readonly string[]): Promise<MediaTarget> {
    const url = URL.parse(text)
    if (!url?.hostname || !schemes.includes(url.protocol.slice(0, -1)))
      throw refusal(field, `must be a URL that begins with ${schemes.map((scheme) => `${scheme}://`).join(' or ')}`)
    if (url.hash) throw refusal(field, 'has a "#"; write it as %23')
    const port = Number(url.port) || PORTS[url.protocol]
    if (port === undefined) throw refusal(field, `names no port, as in ${url.protocol}//${url.hostname}:9000`)
    const isAllowed = this.#allowed.has(originOf(url))
    const [first] = isAllowed ? await this.#resolve(hostOf(url), field) : await this.#lookAt(url, field)
    return {
      url,
      address: first!.address,
      port,
      rejectUnauthorized: this.#verifyMediaTls,
    }
  }

  get #verifyMediaTls(): boolean {
    return this.#options.verifyMediaTls ?? this.#options.verifyTls
  }

  /** Its addresses, if all are on the public internet. */
  async #lookAt(url: URL, field: string): Promise<LookupAddress[]> {
    const addresses = await this.#resolve(hostOf(url), field)
    if (!addresses.every(({ address }) => isPublicAddress(address))) throw notPublic(field, url)
    return addresses
  }

  async #resolve(host: string, field: string): Promise<LookupAddress[]> {
    const family = isIP(host)
    if (family) return [{ address: host, family }]
    const resolve = this.#options.resolve ?? ((name: string) => dns.lookup(name, { all: true }))
    try {
      const addresses = await deadline(resolve(host), RESOLVE_MS, `the look-up of ${host}`)
      if (addresses.length > 0) return addresses
    } catch {
      // A resolver's error is of no use to the client.
    }
    throw refusal(field, `names the host ${host}, which has no address`)
  }
}

/** Without the brackets of an IPv6 address. */
const hostOf = (url: URL): string => url.hostname.replace(/^\[(.*)\]$/, '$1').toLowerCase()

function listOf(networks: [string, number][], family: 'ipv4' | 'ipv6'): BlockList {
  const list = new BlockList()
  for (const [network, prefix] of networks) list.addSubnet(network, prefix, family)
  return list
}

function pinned(addresses: LookupAddress[]): LookupFunction {
  return (host, { all, family }, callback) => {
    const fitting = addresses.filter((one) => !family || family === one.family || family === `IPv${one.family}`)
    const [first] = fitting
    if (!first) callback(Object.assign(new Error(`${host} has no such address`), { code: 'ENOTFOUND' }), '')
    else if (all) callback(null, fitting)
    else callback(null, first.address, first.family)
  }
}

function notPublic(field: string, url: URL): AppError {
  return refusal(
    field,
    `names ${url.hostname}, which is not on the public internet; the server's operator can allow it by ${originOf(url)} in ALLOWED_URLS`,
  )
}

function refusal(field: string, message: string): AppError {
  return new AppError('invalid-request', `${field} ${message}`, { issues: [{ path: field.split('.'), message }] })
}
