// UDP sockets of ICE, and this machine's addresses.
import { createSocket, type Socket, type SocketOptions } from 'node:dgram'
import { once } from 'node:events'
import { networkInterfaces } from 'node:os'
import type { UdpFamily } from '../native/udp.ts'

/** Room for one large keyframe of a publisher while the event loop is busy. */
export const SOCKET_BUFFER_BYTES = 1024 * 1024

/**
 * Binds a socket to the port on all addresses of the family; undefined if it is taken or not permitted. With
 * `reusePort` other sockets of this user may bind to the same port.
 */
export function bindUdp(type: UdpFamily, port: number, reusePort = false): Promise<Socket | undefined> {
  return openUdp(type, reusePort, (socket) => socket.bind(port))
}

/** A socket for a descriptor that is already bound; closing it closes the descriptor. */
export function adoptUdp(type: UdpFamily, fd: number): Promise<Socket | undefined> {
  return openUdp(type, true, (socket) => socket.bind({ fd, exclusive: true }))
}

async function openUdp(
  type: UdpFamily,
  reusePort: boolean,
  bind: (socket: Socket) => void,
): Promise<Socket | undefined> {
  const options: SocketOptions = {
    type,
    ipv6Only: type === 'udp6',
    recvBufferSize: SOCKET_BUFFER_BYTES,
    sendBufferSize: SOCKET_BUFFER_BYTES,
    reusePort,
    // Destinations are always IP addresses: a lookup would delay every packet to the next tick.
    lookup: (address, _options, callback) => callback(null, address, type === 'udp4' ? 4 : 6),
  }
  const socket = createSocket(options)
  try {
    const listening = once(socket, 'listening')
    bind(socket)
    await listening
  } catch (thrown) {
    socket.close()
    const { code } = thrown as NodeJS.ErrnoException
    if (code === 'EADDRINUSE' || code === 'EACCES' || type === 'udp6') return
    throw thrown
  }
  // A packet that cannot be sent (no route, no buffer) counts as lost.
  socket.on('error', () => {})
  return socket
}

/** One socket for IPv4 and, if the machine has it, one for IPv6. */
export async function bindBoth(port: number, reusePort = false): Promise<Socket[] | undefined> {
  const ipv4 = await bindUdp('udp4', port, reusePort)
  if (!ipv4) return
  if (!hostAddresses().some(({ family }) => family === 'IPv6')) return [ipv4]
  const ipv6 = await bindUdp('udp6', port, reusePort)
  return ipv6 ? [ipv4, ipv6] : [ipv4]
}

export async function closeUdp(sockets: readonly Socket[]): Promise<void> {
  await Promise.all(
    sockets.map((socket) => {
      const closed = once(socket, 'close')
      socket.close()
      return closed
    }),
  )
}

export type HostAddress = { address: string; family: 'IPv4' | 'IPv6' }

/** This machine's addresses, IPv4 first; loopback only if there is no other. */
export function hostAddresses(): HostAddress[] {
  const all = Object.values(networkInterfaces()).flatMap((one) => one ?? [])
  const usable = all.filter(({ internal, address }) => !internal && !address.startsWith('fe80:'))
  const chosen = usable.length > 0 ? usable : all.filter(({ family }) => family === 'IPv4')
  const order = (family: string) => (family === 'IPv4' ? 0 : 1)
  return chosen.map(({ address, family }) => ({ address, family })).sort((a, b) => order(a.family) - order(b.family))
}
