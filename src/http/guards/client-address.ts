import { isIPv4 } from 'node:net'

/** Host and port of an Origin header, in lower case; empty for `null` and what is no origin. */
export function originHost(origin: string): string {
  try {
    return new URL(origin).host
  } catch {
    return ''
  }
}

/** True for names that lead to the asking machine itself, with or without a port. */
export function isLoopbackName(host: string): boolean {
  const name = host.toLowerCase().replace(/:\d+$/, '')
  return name === 'localhost' || name.endsWith('.localhost') || name === '[::1]' || isIpv4Loopback(name)
}

/**
 * True for hosts that nobody can register and point elsewhere: addresses, names without a dot, and names of the endings
 * that are kept for local networks (RFC 6761, RFC 6762, RFC 8375, and what routers use).
 */
export function isUnregistrableName(host: string): boolean {
  const name = host.toLowerCase().replace(/:\d+$/, '').replace(/\.$/, '')
  if (name.startsWith('[') || /^\d+(\.\d+){3}$/.test(name)) return true
  return !name.includes('.') || /\.(localhost|local|home\.arpa|internal|lan)$/.test(name)
}

/** True for a peer on this machine; one without an address came by a local socket. */
export function isLoopbackAddress(address: string | undefined): boolean {
  if (address === undefined) return true
  return address === '::1' || isIpv4Loopback(address.replace(/^::ffff:/i, ''))
}

/** True when a proxy says that it asks for someone on another machine. */
export function isForwardedFromAfar(headers: Record<string, string>): boolean {
  return forwardedFor(headers).some((address) => !isLoopbackAddress(address))
}

/**
 * The address a session is counted under: the peer's, or the one that a proxy on this machine names. What peers from
 * elsewhere claim is not believed.
 */
export function clientAddress(peer: string | undefined, headers: Record<string, string>): string {
  const named = isLoopbackAddress(peer) ? forwardedFor(headers).at(-1) : undefined
  return named ?? peer ?? 'local'
}

/** RFC 7239 §5.2 and the older X-Forwarded-For; the last one was added by the proxy next to here. */
function forwardedFor(headers: Record<string, string>): string[] {
  const standard = (headers.forwarded ?? '').matchAll(/for=("[^"]*"|[^;,\s]*)/gi)
  const old = `${headers['x-forwarded-for'] ?? ''},${headers['x-real-ip'] ?? ''}`.split(',')
  return [...[...standard].map(([, value]) => value ?? ''), ...old].map(plainAddress).filter((text) => text !== '')
}

/** Without quotes, brackets and port. */
function plainAddress(text: string): string {
  const bare = text.trim().replace(/^"|"$/g, '')
  const bracketed = /^\[([^\]]+)\]/.exec(bare)
  return bracketed?.[1] ?? bare.replace(/^(\d+\.\d+\.\d+\.\d+):\d+$/, '$1')
}

function isIpv4Loopback(text: string): boolean {
  return isIPv4(text) && text.startsWith('127.')
}
