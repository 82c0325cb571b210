// A remote address that one session's packets come from and go to.
import type { RemoteInfo, Socket } from 'node:dgram'
import type { PacketBatch } from '../native/packet-batch.ts'
import type { NativeUdp } from '../native/udp.ts'
import type { PathOptions } from './path.ts'
import { adoptUdp, bindUdp } from './sockets.ts'

export type Source = PathOptions & {
  /** Protocol, address and port. */
  readonly key: string
  /** Releases the address: a TCP connection is closed. */
  close(): void
  /** Whether media is sent there from now on. */
  prefer?(chosen: boolean): void
}

export type UdpSourceOptions = {
  key: string
  address: string
  port: number
  /** The shared socket, used until the address gets its own. */
  common: Socket
  /** How to bind its own socket, and who takes what it receives; undefined if the kernel does not separate peers. */
  connection?: Connection
  /** Named by the peer. */
  called?: boolean
}

type Connection = {
  localPort: number
  /** Sends many packets at once; without it they are sent one by one. */
  native: NativeUdp | undefined
  onData(data: Buffer, from: RemoteInfo, source: Source): void
}

/** A socket connected to the address; `fd` while `native` uses it. */
type Own = { socket: Socket; fd: number | undefined }

export class UdpSource implements Source {
  readonly key: string
  readonly address: string
  readonly port: number
  readonly connected = false
  readonly called: boolean
  readonly #options: UdpSourceOptions
  #chosen = false
  #closed = false
  #connecting = false
  #own: Own | undefined
  /** How the path takes packets; see `NativeUdp.send`. */
  readonly #path: { segments: boolean }
  /** The kernel's buffer was full, and Node queues packets until it is not. */
  #isQueueing = false

  constructor(options: UdpSourceOptions) {
    this.#options = options
    this.#path = { segments: options.connection?.native?.segments ?? false }
    this.key = options.key
    this.address = options.address
    this.port = options.port
    this.called = options.called ?? false
  }

  send(data: Buffer): void {
    if (this.#own) this.#own.socket.send(data)
    else if (!this.#closed) this.#options.common.send(data, this.port, this.address)
  }

  sendBatch(batch: PacketBatch): void {
    const native = this.#options.connection?.native
    const { fd, socket } = this.#own ?? {}
    let sent = 0
    // Later packets must not overtake those that Node queues.
    if (this.#isQueueing) this.#isQueueing = (socket?.getSendQueueCount() ?? 0) > 0
    if (native && fd !== undefined && !this.#isQueueing) sent = native.send(fd, batch, this.#path)
    if (fd !== undefined && sent < batch.count) this.#isQueueing = true
    for (let i = sent; i < batch.count; i++) this.send(batch.copyOf(i))
  }

  prefer(chosen: boolean): void {
    this.#chosen = chosen
    if (!chosen) this.#leave()
    else if (!this.#own) void this.#connect()
  }

  close(): void {
    this.#closed = true
    this.prefer(false)
  }

  #leave(): void {
    this.#own?.socket.close()
    this.#own = undefined
  }

  /** If its own socket has no descriptor, the shared one continues. */
  async #connect(): Promise<void> {
    const { connection, address, port } = this.#options
    if (!connection || this.#connecting) return
    this.#connecting = true
    const family = address.includes(':') ? 'udp6' : 'udp4'
    const fd = connection.native?.open(family, connection.localPort)
    const bound = fd === undefined ? bindUdp(family, connection.localPort, true) : adoptUdp(family, fd)
    const socket = await bound.catch(() => {})
    if (!socket) {
      this.#connecting = false
      return
    }
    socket.on('message', (data, from) => connection.onData(data, from, this))
    socket.connect(port, address, (failed?: Error) => {
      this.#connecting = false
      if (failed || !this.#chosen) socket.close()
      else this.#own = { socket, fd }
    })
  }
}
