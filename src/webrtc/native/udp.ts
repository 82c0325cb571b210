// UDP on Linux by system calls: many packets per call (sendmmsg(2)), and packets of one size as segments that the
// kernel cuts (UDP_SEGMENT, udp(7)). Node's dgram sends them one by one, at three times the cost.
import koffi, { type KoffiFunc, type LibraryHandle } from 'koffi'
import { NativeMemory } from './memory.ts'
import type { PacketBatch } from './packet-batch.ts'

export type UdpFamily = 'udp4' | 'udp6'

const AF = { udp4: 2, udp6: 10 } as const
const SOCKADDR_BYTES = { udp4: 16, udp6: 28 } as const
/** SOCK_DGRAM with SOCK_NONBLOCK and SOCK_CLOEXEC. */
const DATAGRAM = 2 | 0x800 | 0x80000
const SOL_SOCKET = 1
const SO_REUSEPORT = 15
const IPPROTO_IPV6 = 41
const IPV6_V6ONLY = 26
const MSG_DONTWAIT = 0x40
const SOL_UDP = 17
const UDP_SEGMENT = 103

const [EAGAIN, ENOBUFS] = [11, 105]
/** EIO, EINVAL, EMSGSIZE, EOPNOTSUPP: returned by kernels and devices that do not cut segments, or not of this size. */
const NO_SEGMENTS = [5, 22, 90, 95]

// struct mmsghdr holds a struct msghdr (name, iov, control, flags) and the length sent; struct iovec; struct cmsghdr.
const HEADER_BYTES = 64
const IOV_BYTES = 16
const CONTROL_BYTES = 24
const CONTROL_LENGTH = 18
const MAX_MESSAGES = 128
const IOVS_AT = MAX_MESSAGES * HEADER_BYTES
const CONTROLS_AT = IOVS_AT + MAX_MESSAGES * IOV_BYTES
const FIELD = { iov: 16, iovCount: 24, control: 32, controlLength: 40 } as const
/** Limits of one message: segments per call, and the longest datagram. */
const MAX_SEGMENTS = 64
const MAX_MESSAGE_BYTES = 65_000

type NativeFunction = KoffiFunc<(...given: number[]) => number>
type Calls = Record<'socket' | 'setsockopt' | 'bind' | 'close' | 'sendmmsg', NativeFunction>

/** Throws if the calls are missing. */
export function openNativeUdp(libc: LibraryHandle): NativeUdp {
  const func = (name: string, ...parameters: string[]) => libc.func(name, 'int', parameters)
  const pointer = 'uintptr_t'
  return new NativeUdp({
    socket: func('socket', 'int', 'int', 'int'),
    setsockopt: func('setsockopt', 'int', 'int', 'int', pointer, 'uint32_t'),
    bind: func('bind', 'int', pointer, 'uint32_t'),
    close: func('close', 'int'),
    sendmmsg: func('sendmmsg', 'int', pointer, 'uint32_t', 'int'),
  })
}

export class NativeUdp {
  /** The kernel cuts segments; a device may still not. */
  segments = true
  readonly #calls: Calls
  readonly #messages = new NativeMemory(CONTROLS_AT + MAX_MESSAGES * CONTROL_BYTES)
  readonly #view: DataView
  /** Index of the first packet of each message, followed by the end of the last. */
  readonly #firsts = new Uint32Array(MAX_MESSAGES + 1)

  constructor(calls: Calls) {
    this.#calls = calls
    const { bytes } = this.#messages
    bytes.fill(0)
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    for (let i = 0; i < MAX_MESSAGES; i++) this.#prepare(i)
  }

  /** A socket descriptor for that port on all addresses, shared with other sockets; undefined if not permitted. */
  open(family: UdpFamily, port: number): number | undefined {
    const { socket, setsockopt, bind, close } = this.#calls
    const fd: number = socket(AF[family], DATAGRAM, 0)
    if (fd < 0) return
    const one = new NativeMemory(4)
    one.bytes.writeInt32LE(1)
    const address = new NativeMemory(SOCKADDR_BYTES[family])
    address.bytes.fill(0)
    address.bytes.writeUInt16LE(AF[family])
    address.bytes.writeUInt16BE(port, 2)
    const set = (level: number, option: number) => setsockopt(fd, level, option, one.address, 4) === 0
    const isOpen =
      set(SOL_SOCKET, SO_REUSEPORT) &&
      (family === 'udp4' || set(IPPROTO_IPV6, IPV6_V6ONLY)) &&
      bind(fd, address.address, address.bytes.length) === 0
    if (isOpen) return fd
    close(fd)
    return
  }

  /**
   * Sends a batch from `first` on through a connected socket. Returns the number of packets handed to the kernel, or
   * dropped because it refused them; it takes all unless its buffer is full. Packets of one size go as segments if
   * `path` says so, which is cleared when the kernel or the device cannot.
   */
  send(fd: number, batch: PacketBatch, path: { segments: boolean }, first = 0): number {
    let [count, done, tries] = [this.#describe(batch, first, path.segments), 0, 0]
    while (done < count) {
      const sent: number = this.#calls.sendmmsg(
        fd,
        this.#messages.address + done * HEADER_BYTES,
        count - done,
        MSG_DONTWAIT,
      )
      if (sent > 0) {
        done += sent
        tries = 0
        continue
      }
      const error = koffi.errno()
      const at = this.#firsts[done]!
      if (error === EAGAIN || error === ENOBUFS) return at
      if (path.segments && NO_SEGMENTS.includes(error)) {
        path.segments = false
        count = this.#describe(batch, at, false)
        done = 0
      } else if (tries++ > 0) {
        // The first error may belong to an earlier packet (ICMP), reported late.
        done++
        tries = 0
      }
    }
    return batch.count
  }

  /** Writes the messages that send the batch from `first` on, and returns their number. */
  #describe(batch: PacketBatch, first: number, segments: boolean): number {
    const view = this.#view
    let message = 0
    for (let at = first; at < batch.count; message++) {
      const start = batch.startOf(at)
      const next = segments ? endOfSegments(batch, at) : at + 1
      this.#firsts[message] = at
      const iov = IOVS_AT + message * IOV_BYTES
      setPointer(view, iov, batch.memory.address + start)
      view.setUint32(iov + 8, batch.endOf(next - 1) - start, true)
      view.setUint32(message * HEADER_BYTES + FIELD.controlLength, next - at > 1 ? CONTROL_BYTES : 0, true)
      view.setUint16(CONTROLS_AT + message * CONTROL_BYTES + 16, batch.endOf(at) - start, true)
      at = next
    }
    this.#firsts[message] = batch.count
    return message
  }

  /** Writes the fields that are the same in every batch. */
  #prepare(message: number): void {
    const view = this.#view
    const header = message * HEADER_BYTES
    const control = CONTROLS_AT + message * CONTROL_BYTES
    setPointer(view, header + FIELD.iov, this.#messages.address + IOVS_AT + message * IOV_BYTES)
    view.setUint32(header + FIELD.iovCount, 1, true)
    setPointer(view, header + FIELD.control, this.#messages.address + control)
    view.setUint32(control, CONTROL_LENGTH, true)
    view.setInt32(control + 8, SOL_UDP, true)
    view.setInt32(control + 12, UDP_SEGMENT, true)
  }
}

/**
 * End of the packets that can be segments of one message with the one at `first`: all have one size, the last may be
 * shorter.
 */
function endOfSegments(batch: PacketBatch, first: number): number {
  const start = batch.startOf(first)
  const size = batch.endOf(first) - start
  let next = first + 1
  for (; next < batch.count && next - first < MAX_SEGMENTS; next++) {
    const bytes = batch.endOf(next) - batch.startOf(next)
    if (bytes > size || batch.endOf(next) - start > MAX_MESSAGE_BYTES) break
    if (bytes < size) return next + 1
  }
  return next
}

function setPointer(view: DataView, at: number, address: number): void {
  view.setUint32(at, address >>> 0, true)
  view.setUint32(at + 4, Math.floor(address / 2 ** 32), true)
}
