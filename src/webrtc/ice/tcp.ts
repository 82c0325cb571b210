// ICE over TCP, passive side, for networks without UDP: RFC 6544, with the framing of RFC 4571.
// Bound: each byte is copied four times at most, however small the pieces are that it comes in; of an unproven peer
// 1,500 bytes are kept.
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'

export type TcpPeer = { address: string; port: number; send(data: Buffer): void; close(): void }

export type TcpListener = { readonly port: number; close(): Promise<void> }

export type TcpEvents = {
  onPacket(peer: TcpPeer, data: Buffer): void
  onClose(peer: TcpPeer): void
  /** True once the peer has proved that it belongs to a session. */
  isProven(peer: TcpPeer): boolean
}

/** Limit of unproven connections; sessions limit the others. */
const MAX_UNPROVEN = 64
/** Time limit for the proof. */
const PROVE_MS = 5000
/** Before the proof only a STUN message can come, which fits one packet of any path. */
const MAX_UNPROVEN_BYTES = 1500
/** Packets for a connection that takes no more are dropped, as with UDP. */
const MAX_UNSENT_BYTES = 256 * 1024

type Connection = { socket: Socket; peer: TcpPeer }

/** Listens on the port, 0 for any; undefined if it is taken. */
export async function listenTcp(port: number, events: TcpEvents): Promise<TcpListener | undefined> {
  const connections = new Set<Connection>()
  const server = createServer({ noDelay: true }, (socket) => {
    const connection = { socket, peer: peerOf(socket) }
    connections.add(connection)
    socket.once('close', () => connections.delete(connection))
    serve(connection, events)
    makeRoom([...connections].filter(({ peer }) => !events.isProven(peer)))
  })
  try {
    const listening = once(server, 'listening')
    server.listen(port)
    await listening
  } catch {
    return
  }
  return { port: (server.address() as AddressInfo).port, close: () => closeAll(server, connections) }
}

/** Drops the oldest connection of the address that has most, so that idle connections cannot keep others out. */
function makeRoom(unproven: readonly Connection[]): void {
  if (unproven.length <= MAX_UNPROVEN) return
  const byAddress = Map.groupBy(unproven, ({ peer }) => peer.address)
  const [most] = [...byAddress.values()].sort((a, b) => b.length - a.length)
  most?.[0]?.socket.destroy()
}

async function closeAll(server: Server, connections: ReadonlySet<Connection>): Promise<void> {
  const closed = once(server, 'close')
  server.close()
  // The last data, such as a close_notify, is still sent; a peer that does not read is not waited for.
  for (const { peer } of connections) peer.close()
  await closed
}

function peerOf(socket: Socket): TcpPeer {
  return {
    // An IPv4-mapped IPv6 address is that IPv4 address.
    address: socket.remoteAddress?.replace(/^::ffff:/, '') ?? '',
    port: socket.remotePort ?? 0,
    send: (data) => send(socket, data),
    close: () => {
      socket.destroySoon()
      const timer = setTimeout(() => socket.destroy(), 1000)
      socket.once('close', () => clearTimeout(timer))
    },
  }
}

function serve({ socket, peer }: Connection, events: TcpEvents): void {
  const timer = setTimeout(() => {
    if (!events.isProven(peer)) socket.destroy()
  }, PROVE_MS)
  const frames = new TcpFrames((data) => events.onPacket(peer, data))
  socket.on('data', (chunk) => {
    frames.push(chunk)
    if (frames.bytes > MAX_UNPROVEN_BYTES && !events.isProven(peer)) socket.destroy()
  })
  socket.on('error', () => {})
  socket.once('close', () => {
    clearTimeout(timer)
    events.onClose(peer)
  })
}

/** Splits a connection into packets (RFC 4571 §2), each with a two-byte length in front. */
export class TcpFrames {
  /** Length of the incomplete packet, with its prefix. */
  bytes = 0
  readonly #onPacket: (data: Buffer) => void
  /** Grows by doubling, so that small pieces are not copied repeatedly. */
  #buffer = Buffer.alloc(0)

  constructor(onPacket: (data: Buffer) => void) {
    this.#onPacket = onPacket
  }

  push(chunk: Buffer): void {
    const all = this.bytes > 0 ? this.#append(chunk) : chunk
    let at = 0
    for (let end = endOf(all, at); end <= all.length; end = endOf(all, at)) {
      this.#onPacket(all.subarray(at + 2, end))
      at = end
    }
    if (at === 0 && this.bytes > 0) return
    // Copied: a view would keep the whole buffer alive.
    this.#buffer = Buffer.from(all.subarray(at))
    this.bytes = this.#buffer.length
  }

  #append(chunk: Buffer): Buffer {
    const length = this.bytes + chunk.length
    if (length > this.#buffer.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(length, 2 * this.#buffer.length))
      larger.set(this.#buffer.subarray(0, this.bytes))
      this.#buffer = larger
    }
    this.#buffer.set(chunk, this.bytes)
    this.bytes = length
    return this.#buffer.subarray(0, length)
  }
}

/** End of the packet at `at`; beyond the data while its length is unknown. */
const endOf = (data: Buffer, at: number): number =>
  at + 2 <= data.length ? at + 2 + data.readUInt16BE(at) : Number.POSITIVE_INFINITY

function send(socket: Socket, data: Buffer): void {
  if (!socket.writable || socket.writableLength > MAX_UNSENT_BYTES) return
  const frame = Buffer.allocUnsafe(2 + data.length)
  frame.writeUInt16BE(data.length)
  frame.set(data, 2)
  socket.write(frame)
}
