// Tests whether packets sent by one call, or as segments, arrive intact: some sandboxes refuse the call, and some
// accept the segment option and ignore it, so that a viewer would get one packet for eleven.
import type { LibraryHandle } from 'koffi'
import { NativeMemory } from './memory.ts'
import { PacketBatch } from './packet-batch.ts'
import type { NativeUdp } from './udp.ts'

const SIZES = [48, 48, 20]
const AF_INET = 2
const LOOPBACK = [127, 0, 0, 1]
const SOCKADDR_BYTES = 16
const MSG_DONTWAIT = 0x40

/** What works here, tested over loopback, where packets have arrived when the sending call returns. */
export function tryOverLoopback(udp: NativeUdp, libc: LibraryHandle): { packets: boolean; segments: boolean } {
  const func = (name: string, ...parameters: string[]) => libc.func(name, 'int', parameters)
  const connect = func('connect', 'int', 'uintptr_t', 'uint32_t')
  const getsockname = func('getsockname', 'int', 'uintptr_t', 'uintptr_t')
  const recv = libc.func('recv', 'int64_t', ['int', 'uintptr_t', 'size_t', 'int'])
  const close = func('close', 'int')

  const arrives = (segments: boolean): boolean => {
    const fds = [udp.open('udp4', 0), udp.open('udp4', 0)].filter((fd) => fd !== undefined)
    try {
      const [receiver, sender] = fds
      if (receiver === undefined || sender === undefined) return false
      const [address, length] = [new NativeMemory(SOCKADDR_BYTES), new NativeMemory(4)]
      length.bytes.writeUInt32LE(SOCKADDR_BYTES)
      if (getsockname(receiver, address.address, length.address) !== 0) return false
      address.bytes.writeUInt16LE(AF_INET)
      address.bytes.set(LOOPBACK, 4)
      if (connect(sender, address.address, SOCKADDR_BYTES) !== 0) return false
      const batch = new PacketBatch()
      for (const [i, size] of SIZES.entries()) {
        batch.memory.bytes.fill(i + 1, batch.end, batch.end + size)
        batch.add(size)
      }
      const path = { segments }
      udp.send(sender, batch, path)
      const room = new NativeMemory(256)
      const wholes = SIZES.map((size, i) => {
        const bytes = Number(recv(receiver, room.address, room.bytes.length, MSG_DONTWAIT))
        return bytes === size && room.bytes.subarray(0, size).every((byte) => byte === i + 1)
      })
      return path.segments === segments && wholes.every(Boolean)
    } finally {
      for (const fd of fds) close(fd)
    }
  }
  const packets = arrives(false)
  return { packets, segments: packets && arrives(true) }
}
