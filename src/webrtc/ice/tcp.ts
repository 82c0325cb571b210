// ICE over TCP, passive side, for networks without UDP: RFC 6544, with the framing of RFC 4571.
import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'

export type TcpPeer = { address: string; port: number; send(data: Buffer): void }

export type TcpListener = { close(): Promise<void> }

export type TcpEvents = {
  onPacket(peer: TcpPeer, data: Buffer): void
  onClose(peer: TcpPeer): void
  /** True once the peer proved to belong to the session. */
  isProven(peer: TcpPeer): boolean
}

/** A session has one peer, with a few interfaces. */
const MAX_CONNECTIONS = 8
/** Who has proven nothing by then is somebody else. */
const PROVE_MS = 5000
/** Packets for a connection that takes no more are lost, as they would be with UDP. */
const MAX_UNSENT_BYTES = 256 * 1024

/** Listens on the port; undefined when it is taken. */
export async function listenTcp(port: number, events: TcpEvents): Promise<TcpListener | undefined> {
  const connections = new Set<Socket>()
  const server = createServer({ noDelay: true }, (socket) => {
    connections.add(socket)
    socket.once('close', () => connections.delete(socket))
    serve(socket, events)
  })
  server.maxConnections = MAX_CONNECTIONS
  try {
    const listening = once(server, 'listening')
    server.listen(port)
    await listening
  } catch {
    return
  }
  return { close: () => closeAll(server, connections) }
}

async function closeAll(server: Server, connections: ReadonlySet<Socket>): Promise<void> {
  const closed = once(server, 'close')
  server.close()
  // What was written last, such as a goodbye, still leaves; who does not read it is not waited for.
  for (const socket of connections) socket.destroySoon()
  const timer = setTimeout(() => {
    for (const socket of connections) socket.destroy()
  }, 1000)
  await closed
  clearTimeout(timer)
}

function serve(socket: Socket, events: TcpEvents): void {
  // An IPv4 address in IPv6 form is still that address.
  const peer: TcpPeer = {
    address: socket.remoteAddress?.replace(/^::ffff:/, '') ?? '',
    port: socket.remotePort ?? 0,
    send: (data) => send(socket, data),
  }
  const timer = setTimeout(() => {
    if (!events.isProven(peer)) socket.destroy()
  }, PROVE_MS)
  let rest = Buffer.alloc(0)
  socket.on('data', (chunk) => {
    let bytes = rest.length > 0 ? Buffer.concat([rest, chunk]) : chunk
    while (bytes.length >= 2 && bytes.length >= 2 + bytes.readUInt16BE(0)) {
      const end = 2 + bytes.readUInt16BE(0)
      events.onPacket(peer, bytes.subarray(2, end))
      bytes = bytes.subarray(end)
    }
    rest = Buffer.from(bytes)
  })
  socket.on('error', () => {})
  socket.once('close', () => {
    clearTimeout(timer)
    events.onClose(peer)
  })
}

function send(socket: Socket, data: Buffer): void {
  if (!socket.writable || socket.writableLength > MAX_UNSENT_BYTES) return
  const frame = Buffer.allocUnsafe(2 + data.length)
  frame.writeUInt16BE(data.length)
  frame.set(data, 2)
  socket.write(frame)
}
