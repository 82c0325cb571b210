import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import koffi from 'koffi'
import { describe, expect, test } from 'vitest'
import { nativeUdp } from '../../../../src/webrtc/native/load-udp.ts'
import { tryOverLoopback } from '../../../../src/webrtc/native/loopback-trial.ts'
import { PacketBatch } from '../../../../src/webrtc/native/packet-batch.ts'
import { NativeUdp } from '../../../../src/webrtc/native/udp.ts'
import { waitFor } from '../../../helpers/wait.ts'

const batchOf = (packets: readonly Buffer[]): PacketBatch => {
  const batch = new PacketBatch()
  for (const packet of packets) {
    expect(batch.fits(packet.length)).toBe(true)
    batch.memory.bytes.set(packet, batch.end)
    batch.add(packet.length)
  }
  return batch
}

const SIZES: [string, number[]][] = [
  ['of one size', [1200, 1200, 1200, 1200]],
  ['whose last is shorter', [1200, 1200, 700]],
  ['of all sizes', [40, 1200, 1200, 900, 1100, 1, 1, 1200, 5, 5, 5]],
  ['as one batch holds at most', Array.from({ length: 128 }, () => 1180)],
  ['one alone', [500]],
]

async function connected(): Promise<{ receiver: Socket; sender: Socket; fd: number }> {
  const receiver = createSocket({ type: 'udp4', recvBufferSize: 1 << 20 }).bind(0, '127.0.0.1')
  await once(receiver, 'listening')
  const fd = nativeUdp()!.open('udp4', 0)!
  const sender = createSocket('udp4').bind({ fd, exclusive: true })
  sender.connect(receiver.address().port, '127.0.0.1')
  await once(sender, 'connect')
  return { receiver, sender, fd }
}

describe.runIf(process.platform === 'linux')('packets', () => {
  test.each(SIZES)('%s arrive unchanged, in order, segmented or not', async (_, sizes) => {
    for (const segments of [true, false]) {
      const { receiver, sender, fd } = await connected()
      const got: Buffer[] = []
      receiver.on('message', (data) => got.push(data))
      const packets = sizes.map((size, i) => Buffer.alloc(size, i + 1))
      const path = { segments }
      expect(nativeUdp()!.send(fd, batchOf(packets), path)).toBe(packets.length)
      await waitFor('all packets', () => got.length === packets.length)
      expect(Buffer.concat(got).equals(Buffer.concat(packets))).toBe(true)
      expect(got.map(({ length }) => length)).toEqual(sizes)
      expect(path.segments).toBe(segments)
      sender.close()
      receiver.close()
    }
  })

  test('continue where they stopped', async () => {
    const { receiver, sender, fd } = await connected()
    const got: Buffer[] = []
    receiver.on('message', (data) => got.push(data))
    const packets = [1, 2, 3, 4].map((byte) => Buffer.alloc(100, byte))
    nativeUdp()!.send(fd, batchOf(packets), { segments: true }, 2)
    await waitFor('two packets', () => got.length === 2)
    expect(got).toEqual(packets.slice(2))
    sender.close()
    receiver.close()
  })

  test('two sockets share a port', async () => {
    const { sender } = await connected()
    const { port } = sender.address()
    const second = nativeUdp()!.open('udp4', port)!
    expect(second).toBeGreaterThan(2)
    const adopted = createSocket('udp4').bind({ fd: second, exclusive: true })
    expect(adopted.address().port).toBe(port)
    adopted.close()
    sender.close()
  })

  test('a port that another process has exclusively gives no socket', async () => {
    const alone = createSocket('udp4').bind(0)
    await once(alone, 'listening')
    expect(nativeUdp()!.open('udp4', alone.address().port)).toBeUndefined()
    alone.close()
  })
})

describe.runIf(process.platform === 'linux')('sending is tried over loopback first', () => {
  const libc = koffi.load(null)
  const real = nativeUdp()!
  /** Opens real sockets, with the send call of a sandbox. */
  const sandbox = (send: NativeUdp['send']) =>
    ({ open: (...given: Parameters<NativeUdp['open']>) => real.open(...given), send }) as unknown as NativeUdp

  test('here packets and segments arrive, and nothing stays open', () => {
    const descriptors = readdirSync('/proc/self/fd').length
    expect(tryOverLoopback(real, libc)).toEqual({ packets: true, segments: true })
    expect(real.segments).toBe(true)
    expect(readdirSync('/proc/self/fd').length).toBe(descriptors)
  })

  test('a system that accepts and ignores segmentation sends one packet for all', () => {
    const ignorant = sandbox((fd, batch, path) => {
      if (!path.segments) return real.send(fd, batch, path)
      const all = new PacketBatch()
      all.memory.bytes.set(batch.memory.bytes.subarray(0, batch.end))
      all.add(batch.end)
      real.send(fd, all, { segments: false })
      return batch.count
    })
    expect(tryOverLoopback(ignorant, libc)).toEqual({ packets: true, segments: false })
  })

  test('a system that refuses the call sends nothing', () => {
    expect(
      tryOverLoopback(
        sandbox((_, batch) => batch.count),
        libc,
      ),
    ).toEqual({ packets: false, segments: false })
  })
})

describe('a kernel', () => {
  const [EIO, EAGAIN, ECONNREFUSED] = [5, 11, 111]

  /**
   * A simulated kernel that returns `errors` first, then accepts one message per call; `sent` counts the messages of
   * each call.
   */
  function kernel(errors: number[]): { udp: NativeUdp; sent: number[] } {
    const sent: number[] = []
    const calls = {
      sendmmsg: (_fd: number, _messages: number, count: number) => {
        const error = errors.shift()
        if (error === undefined) {
          sent.push(count)
          return 1
        }
        koffi.errno(error)
        return -1
      },
    }
    return { udp: new NativeUdp(calls as unknown as ConstructorParameters<typeof NativeUdp>[0]), sent }
  }
  const batch = () => batchOf([1200, 1200, 1200, 300, 900].map((size) => Buffer.alloc(size)))

  test('without segmentation gets the packets one by one from then on', () => {
    const { udp, sent } = kernel([EIO])
    const path = { segments: true }
    expect(udp.send(3, batch(), path)).toBe(5)
    expect(path.segments).toBe(false)
    expect(sent).toEqual([5, 4, 3, 2, 1])
  })

  test('with a full buffer is not called again', () => {
    const { udp, sent } = kernel([EAGAIN])
    const path = { segments: true }
    expect(udp.send(3, batch(), path)).toBe(0)
    expect(sent).toEqual([])
    expect(path.segments).toBe(true)
  })

  test('that reports an error of an earlier packet gets this one again, once', () => {
    const late = kernel([ECONNREFUSED])
    expect(late.udp.send(3, batch(), { segments: true })).toBe(5)
    expect(late.sent).toEqual([2, 1])
    const always = kernel([ECONNREFUSED, ECONNREFUSED])
    expect(always.udp.send(3, batch(), { segments: true })).toBe(5)
    expect(always.sent).toEqual([1])
  })
})
