import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { AppError } from '../core/errors.ts'
import { hostAddresses, openIceSockets, SOCKET_BUFFER_BYTES } from '../webrtc/ice/sockets.ts'
import { type Finding, fine, missing, warn } from './finding.ts'

const ARRIVE_MS = 1000

export async function checkHttpPort(host: string, port: number): Promise<Finding> {
  const server = createServer()
  try {
    server.listen(port, host)
    await once(server, 'listening')
    return fine('HTTP port', `${host}:${port} is free`)
  } catch (thrown) {
    const { code, message } = thrown as NodeJS.ErrnoException
    const taken = code === 'EADDRINUSE'
    return missing(
      'HTTP port',
      taken ? `${host}:${port} is taken, perhaps by a Millrace that runs already` : message,
      taken
        ? 'end what uses it, or set PORT to another'
        : 'set HOST to an address of this machine, and PORT above 1023',
    )
  } finally {
    server.close()
  }
}

export async function checkUdpPorts([min, max]: readonly [number, number]): Promise<Finding> {
  try {
    await (await openIceSockets([min, max])).close()
    return fine('UDP ports', `${min} to ${max}, one for each WebRTC session: at most ${max - min + 1} at once`)
  } catch (thrown) {
    return missing('UDP ports', AppError.from(thrown).message, 'set UDP_PORTS to a range that is free')
  }
}

/**
 * A burst of packets that the kernel has no room for is lost, and raw frames that it has no room for cost wake-ups.
 * `folder` is where the kernel tells its limits (socket(7)); undefined on systems that do not.
 */
export function checkNetworkBuffers(folder = '/proc/sys/net/core'): Finding | undefined {
  const limits = ['rmem_max', 'wmem_max'].map((name) => ({ name, bytes: readLimit(`${folder}/${name}`) }))
  if (limits.some(({ bytes }) => bytes === undefined)) return undefined
  const found = limits.map(({ name, bytes }) => `net.core.${name} is ${bytes}`).join(', ')
  const small = limits.filter(({ bytes }) => bytes! < SOCKET_BUFFER_BYTES)
  if (small.length === 0) return fine('Network buffers', found)
  return warn('Network buffers', found, `sysctl -w ${small.map(({ name }) => `net.core.${name}=4194304`).join(' ')}`)
}

function readLimit(file: string): number | undefined {
  try {
    return Number(readFileSync(file, 'utf8'))
  } catch {
    return undefined
  }
}

/** Looks at the addresses that WebRTC clients will be told, and sends a packet to each that is this machine's own. */
export async function checkCandidates(publicIp: string | undefined): Promise<Finding> {
  const own = hostAddresses().map(({ address }) => address)
  const reached = (await Promise.all(own.map(async (address) => ((await arrives(address)) ? [address] : [])))).flat()
  if (publicIp !== undefined) {
    const how = own.includes(publicIp) ? 'an address of this machine' : 'the router in front must pass the UDP ports on'
    return fine('WebRTC address', `${publicIp} by PUBLIC_IP: ${how}`)
  }
  const first = reached[0]
  if (first === undefined) {
    return missing(
      'WebRTC address',
      `no UDP packet arrives at ${own.join(', ') || 'any address'}`,
      'let the firewall pass UDP, or set PUBLIC_IP',
    )
  }
  const mend = 'set PUBLIC_IP to the address that clients reach, and pass the UDP ports on to here'
  if (isLoopback(first)) return warn('WebRTC address', 'loopback only: no other machine can publish or watch', mend)
  if (existsSync('/.dockerenv') && isPrivate(first)) {
    return warn('WebRTC address', `${first} is perhaps known inside this container's network only`, mend)
  }
  if (isPrivate(first)) return fine('WebRTC address', `${first}, for the local network; PUBLIC_IP is for the rest`)
  return fine('WebRTC address', first)
}

async function arrives(address: string): Promise<boolean> {
  const type = address.includes(':') ? 'udp6' : 'udp4'
  const [receiver, sender] = [createSocket(type), createSocket(type)]
  try {
    receiver.bind(0)
    await once(receiver, 'listening')
    const heard = once(receiver, 'message', { signal: AbortSignal.timeout(ARRIVE_MS) })
    sender.on('error', () => {})
    sender.send('hello', receiver.address().port, address)
    await heard
    return true
  } catch {
    return false
  } finally {
    receiver.close()
    sender.close()
  }
}

function isLoopback(address: string): boolean {
  return address === '::1' || address.startsWith('127.')
}

/** RFC 1918 and RFC 4193. */
function isPrivate(address: string): boolean {
  return /^(10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.|f[cd])/i.test(address)
}
