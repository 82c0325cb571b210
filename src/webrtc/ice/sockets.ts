// The UDP sockets of one ICE agent: one port, for IPv4 and, where the machine has it, IPv6.
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { networkInterfaces } from 'node:os'
import { AppError } from '../../core/errors.ts'

export type IceSockets = {
  port: number
  sockets: Socket[]
  close(): Promise<void>
}

/** Room for one large keyframe of a publisher while the event loop is busy. */
export const SOCKET_BUFFER_BYTES = 1024 * 1024

/** Binds the first free port of the range, from a random one on. Throws `capacity` when all are taken. */
export async function openIceSockets([min, max]: readonly [number, number]): Promise<IceSockets> {
  const count = max - min + 1
  const first = Math.floor(Math.random() * count)
  for (let i = 0; i < count; i++) {
    const port = min + ((first + i) % count)
    const sockets = await bindBoth(port)
    if (sockets) return { port, sockets, close: () => closeAll(sockets) }
  }
  throw new AppError('capacity', `all UDP ports from ${min} to ${max} are taken`, { retryable: true })
}

async function bindBoth(port: number): Promise<Socket[] | undefined> {
  const ipv4 = await bind('udp4', port)
  if (!ipv4) return
  if (!hostAddresses().some(({ family }) => family === 'IPv6')) return [ipv4]
  const ipv6 = await bind('udp6', port)
  return ipv6 ? [ipv4, ipv6] : [ipv4]
}

async function bind(type: 'udp4' | 'udp6', port: number): Promise<Socket | undefined> {
  const socket = createSocket({
    type,
    ipv6Only: type === 'udp6',
    recvBufferSize: SOCKET_BUFFER_BYTES,
    sendBufferSize: SOCKET_BUFFER_BYTES,
    // Only addresses are sent to: looking them up would put every packet off to the next tick.
    lookup: (address, _options, callback) => callback(null, address, type === 'udp4' ? 4 : 6),
  })
  try {
    const listening = once(socket, 'listening')
    socket.bind(port)
    await listening
  } catch (thrown) {
    socket.close()
    const { code } = thrown as NodeJS.ErrnoException
    if (code === 'EADDRINUSE' || code === 'EACCES' || type === 'udp6') return
    throw thrown
  }
  // A packet that cannot be sent (no route, no buffer) is a lost packet.
  socket.on('error', () => {})
  return socket
}

async function closeAll(sockets: readonly Socket[]): Promise<void> {
  await Promise.all(
    sockets.map((socket) => {
      const closed = once(socket, 'close')
      socket.close()
      return closed
    }),
  )
}

export type HostAddress = { address: string; family: 'IPv4' | 'IPv6' }

/** Addresses by which this machine may be reached, IPv4 first; loopback only when there is no other. */
export function hostAddresses(): HostAddress[] {
  const all = Object.values(networkInterfaces()).flatMap((one) => one ?? [])
  const usable = all.filter(({ internal, address }) => !internal && !address.startsWith('fe80:'))
  const chosen = usable.length > 0 ? usable : all.filter(({ family }) => family === 'IPv4')
  const order = (family: string) => (family === 'IPv4' ? 0 : 1)
  return chosen.map(({ address, family }) => ({ address, family })).sort((a, b) => order(a.family) - order(b.family))
}
