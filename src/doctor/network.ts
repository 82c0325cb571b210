import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { AppError } from '../core/errors.ts'
import { DEFAULT_PORT, openPortOfRange, openSharedPort } from '../webrtc/ice/port.ts'
import { hostAddresses, SOCKET_BUFFER_BYTES } from '../webrtc/ice/sockets.ts'
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
      taken ? `${host}:${port} is taken, perhaps by another Millrace` : message,
      taken
        ? 'stop the program that uses it, or set PORT'
        : 'set HOST to an address of this machine, and PORT above 1023',
    )
  } finally {
    server.close()
  }
}

/** The port of all WebRTC sessions; undefined is the default port, which the server can replace by another. */
export async function checkUdpPort(set: number | undefined): Promise<Finding> {
  const wanted = set ?? DEFAULT_PORT
  const port = await openSharedPort(wanted)
  await port?.close()
  if (port) return fine('WebRTC port', `${wanted === 0 ? 'any' : wanted} is free, by UDP and TCP`)
  const found = `${wanted} is taken, by UDP or TCP, perhaps by another Millrace`
  const mend = 'stop the program that uses it, or set UDP_PORT'
  return set === undefined
    ? warn('WebRTC port', `${found}; the server uses another port`, mend)
    : missing('WebRTC port', found, mend)
}

export async function checkUdpPorts([min, max]: readonly [number, number]): Promise<Finding> {
  try {
    await (await openPortOfRange([min, max])).close()
    return fine('UDP ports', `${min} to ${max}, one for each WebRTC session: at most ${max - min + 1} at once`)
  } catch (thrown) {
    return missing('UDP ports', AppError.from(thrown).message, 'set UDP_PORTS to a range that is free')
  }
}

/**
 * A burst of packets beyond the kernel's buffer is lost, and raw frames beyond it cost wake-ups. `folder` has the
 * kernel's limits (socket(7)); returns undefined on systems without it.
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

/** Checks the addresses announced to WebRTC clients, and sends a packet to each that belongs to this machine. */
export async function checkCandidates(publicIp: string | undefined): Promise<Finding> {
  const own = hostAddresses().map(({ address }) => address)
  const reached = (await Promise.all(own.map(async (address) => ((await arrives(address)) ? [address] : [])))).flat()
  if (publicIp !== undefined) {
    const how = own.includes(publicIp) ? 'an address of this machine' : 'the router must forward the UDP ports'
    return fine('WebRTC address', `${publicIp} by PUBLIC_IP: ${how}`)
  }
  const first = reached[0]
  if (first === undefined) {
    return missing(
      'WebRTC address',
      `no UDP packet arrives at ${own.join(', ') || 'any address'}`,
      'allow UDP in the firewall, or set PUBLIC_IP',
    )
  }
  const mend = 'set PUBLIC_IP to the address that clients reach, and forward the UDP ports'
  if (isLoopback(first)) return warn('WebRTC address', 'loopback only: no other machine can publish or watch', mend)
  if (existsSync('/.dockerenv') && isPrivate(first)) {
    return warn('WebRTC address', `${first} may be reachable only within this container's network`, mend)
  }
  if (isPrivate(first))
    return fine('WebRTC address', `${first}, for the local network; set PUBLIC_IP for other clients`)
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
