import { isIPv4 } from 'node:net'

/** Host and port of an Origin header in lower case; empty for `null` and invalid origins. */
export function originHost(origin: string): string {
  try {
    return new URL(origin).host
  } catch {
    return ''
  }
}

/** RFC 6761 §6.3. A name alone: `evil.example/.localhost` is none. */
const LOCALHOST = /^([a-z0-9_-]+\.)*localhost$/

/** Whether a name, with or without a port, always means the local machine. */
export function isLoopbackName(host: string): boolean {
  const name = host.toLowerCase().replace(/:\d+$/, '')
  return LOCALHOST.test(name) || name === '[::1]' || isIpv4Loopback(name)
}

/**
 * Whether nobody can register the host and point it elsewhere: addresses, names without a dot, and domains reserved for
 * local networks (RFC 6761, RFC 6762, RFC 8375, and those of routers).
 */
export function isUnregistrableName(host: string): boolean {
  const name = host.toLowerCase().replace(/:\d+$/, '').replace(/\.$/, '')
  if (name.startsWith('[') || /^\d+(\.\d+){3}$/.test(name)) return true
  return !name.includes('.') || /\.(localhost|local|home\.arpa|internal|lan)$/.test(name)
}

/** Whether the peer is on this machine; a peer without an address uses a local socket. */
export function isLoopbackAddress(address: string | undefined): boolean {
  if (address === undefined) return true
  return address === '::1' || isIpv4Loopback(address.replace(/^::ffff:/i, ''))
}

/** Whether a proxy reports a client on another machine. */
export function isForwardedFromAfar(headers: Record<string, string>): boolean {
  return forwardedFor(headers).some((address) => !isLoopbackAddress(address))
}

/** RFC 7239 §5.2, and the older X-Forwarded-For and X-Real-IP. */
function forwardedFor(headers: Record<string, string>): string[] {
  const standard = (headers.forwarded ?? '').matchAll(/for=("[^"]*"|[^;,\s]*)/gi)
  const old = `${headers['x-forwarded-for'] ?? ''},${headers['x-real-ip'] ?? ''}`.split(',')
  return [...[...standard].map(([, value]) => value ?? ''), ...old].map(plainAddress).filter((text) => text !== '')
}

/** The address without quotes, brackets and port. */
export function plainAddress(text: string): string {
  const bare = text.trim().replace(/^"|"$/g, '')
  const bracketed = /^\[([^\]]+)\]/.exec(bare)
  return bracketed?.[1] ?? bare.replace(/^(\d+\.\d+\.\d+\.\d+):\d+$/, '$1')
}

function isIpv4Loopback(text: string): boolean {
  return isIPv4(text) && text.startsWith('127.')
}
