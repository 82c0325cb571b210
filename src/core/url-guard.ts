import { promises as dns, type LookupAddress } from 'node:dns'
import { BlockList, isIP, type LookupFunction } from 'node:net'
import { AppError } from './errors.ts'
import { deadline } from './resource.ts'

/** An address that may be called, with what a client needs to call that one and no other. */
export type Target = {
  /** http or https. */
  url: string
  /** Gives the addresses that were looked at; absent where any address may stand behind the name. */
  lookup?: LookupFunction
  /** False accepts any certificate. */
  rejectUnauthorized: boolean
}

export type UrlGuardOptions = {
  /** Origins that may be called whatever address they have, as in `http://10.0.0.5:8935`. */
  allowed: readonly string[]
  /** Whether certificates are checked. */
  verifyTls: boolean
  /** Instead of the system's resolver. */
  resolve?(host: string): Promise<LookupAddress[]>
}

const RESOLVE_MS = 5000

/** IPv4 addresses that are no one host of the public internet's (IANA special-purpose registry), and clouds' own. */
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

/** Of IPv6 only the global unicast range is public; these parts of it lead to IPv4 or nowhere. */
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

/** True for an address of the public internet; loopback, private, link-local and cloud metadata addresses are none. */
export function isPublicAddress(address: string): boolean {
  const family = isIP(address)
  if (family === 4) return !refusedV4.check(address, 'ipv4')
  if (family === 6) return publicV6.check(address, 'ipv6') && !refusedV6.check(address, 'ipv6')
  return false
}

/**
 * Decides which addresses a request may make this server call. A name is resolved once, and the client gets the
 * addresses that were looked at, so that a second answer of the resolver changes nothing.
 */
export class UrlGuard {
  readonly #allowed: ReadonlySet<string>
  readonly #options: UrlGuardOptions

  constructor(options: UrlGuardOptions) {
    this.#options = options
    this.#allowed = new Set(options.allowed)
  }

  /** `field` names the URL in errors. @throws AppError `invalid-request` for what may not be called. */
  async check(text: string, field: string): Promise<Target> {
    const url = URL.parse(text)
    if (!url || !/^https?:$/.test(url.protocol))
      throw refusal(field, 'must be a URL that begins with http:// or https://')
    const target = { url: url.href, rejectUnauthorized: this.#options.verifyTls }
    if (this.#allowed.has(url.origin)) return target
    const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
    if (isIP(host)) {
      if (isPublicAddress(host)) return target
      throw notPublic(field, url)
    }
    const addresses = await this.#resolve(host, field)
    if (!addresses.every(({ address }) => isPublicAddress(address))) throw notPublic(field, url)
    return { ...target, lookup: pinned(addresses) }
  }

  async #resolve(host: string, field: string): Promise<LookupAddress[]> {
    const resolve = this.#options.resolve ?? ((name: string) => dns.lookup(name, { all: true }))
    try {
      const addresses = await deadline(resolve(host), RESOLVE_MS, `the look-up of ${host}`)
      if (addresses.length > 0) return addresses
    } catch {
      // A resolver's reasons say nothing to who sent the name.
    }
    throw refusal(field, `names the host ${host}, which has no address`)
  }
}

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

function notPublic(field: string, { origin, hostname }: URL): AppError {
  return refusal(
    field,
    `names ${hostname}, which is not on the public internet; the server's operator can allow it by ${origin} in ALLOWED_URLS`,
  )
}

function refusal(field: string, message: string): AppError {
  return new AppError('invalid-request', `${field} ${message}`, { issues: [{ path: [field], message }] })
}
