import { BlockList, isIP } from 'node:net'
import type { HttpBindings } from '@hono/node-server'
import type { MiddlewareHandler } from 'hono'
import { plainAddress } from './client-address.ts'

/** Proxies whose forwarding headers are trusted, by address or CIDR (RFC 4632). */
export class TrustedProxies {
  readonly #list = new BlockList()

  /** @throws TypeError for anything else. */
  constructor(cidrs: readonly string[]) {
    for (const cidr of cidrs) {
      const [address = '', prefix, ...more] = cidr.split('/')
      const version = isIP(address)
      const bits = version === 4 ? 32 : 128
      if (
        version === 0 ||
        more.length > 0 ||
        (prefix !== undefined && !(/^\d+$/.test(prefix) && Number(prefix) <= bits))
      )
        throw new TypeError(`${cidr} is neither an address nor a CIDR`)
      this.#list.addSubnet(address, prefix === undefined ? bits : Number(prefix), version === 4 ? 'ipv4' : 'ipv6')
    }
  }

  trusts(address: string | undefined): boolean {
    const bare = address?.replace(/^::ffff:/i, '') ?? ''
    const version = isIP(bare)
    return version !== 0 && this.#list.check(bare, version === 4 ? 'ipv4' : 'ipv6')
  }

  /**
   * The address that limits count: the peer's, or, behind trusted proxies, the last one in X-Forwarded-For that is not
   * a trusted proxy. Entries before it come from the client.
   */
  clientAddress(peer: string | undefined, forwardedFor: string | undefined): string {
    let client = peer ?? 'local'
    const named = (forwardedFor ?? '').split(',').map(plainAddress).filter(Boolean)
    while (this.trusts(client)) {
      const before = named.pop()
      if (before === undefined || isIP(before) === 0) break
      client = before
    }
    return client.replace(/^::ffff:/i, '')
  }
}

/** Prepends the path under which a trusted proxy serves this server to `Location`. */
export function forwardedPrefix(proxies: TrustedProxies): MiddlewareHandler<{ Bindings: HttpBindings }> {
  return async (c, next) => {
    await next()
    const prefix = c.req.header('x-forwarded-prefix')?.trim().replace(/\/+$/, '')
    const location = c.res.headers.get('location')
    if (!prefix || !location?.startsWith('/') || !proxies.trusts(c.env.incoming.socket.remoteAddress)) return
    if (/^(\/[\w.~%-]+)+$/.test(prefix)) c.header('location', `${prefix}${location}`)
  }
}
