import { describe, expect, it } from 'vitest'
import { Broadcast, type Reader } from '../../../src/core/broadcast.ts'
import type { EncodedPacket, Track } from '../../../src/core/media/packet.ts'

const video: Track = { id: 'v', kind: 'video', codec: 'h264' }
const audio: Track = { id: 'a', kind: 'audio', codec: 'opus', sampleRate: 48_000, channels: 2 }
const packet = (pts: number, key = false, track: Track = video): EncodedPacket => ({
  track,
  pts,
  key,
  data: new Uint8Array(100),
})

async function read(reader: Reader): Promise<number[]> {
  const seen: number[] = []
  for await (const { pts } of reader) seen.push(pts)
  return seen
}

describe('Broadcast', () => {
  it('starts each reader at a keyframe and requests one', async () => {
    let asked = 0
    const broadcast = new Broadcast(() => asked++)
    const reader = broadcast.subscribe()
    expect(asked).toBe(1)
    for (const [pts, key] of [
      [1, false],
      [2, true],
      [3, false],
    ] as const)
      broadcast.write(packet(pts, key))
    broadcast.end()
    expect(await read(reader)).toEqual([2, 3])
  })

  it('gives audio to a reader still waiting for its keyframe', async () => {
    const broadcast = new Broadcast(() => {})
    const reader = broadcast.subscribe()
    broadcast.write(packet(1, true, audio))
    broadcast.end()
    expect(await read(reader)).toEqual([1])
  })

  it('drops the backlog of a slow reader, counts it, and continues at the next keyframe', async () => {
    let asked = 0
    const broadcast = new Broadcast(() => asked++)
    const slow = broadcast.subscribe({ maxPackets: 3 })
    const quick = broadcast.subscribe({ maxPackets: 100 })
    broadcast.write(packet(0, true))
    for (let pts = 1; pts < 6; pts++) broadcast.write(packet(pts))
    broadcast.write(packet(6, true))
    broadcast.write(packet(7))
    broadcast.end()
    expect(await read(slow)).toEqual([6, 7])
    expect(slow.dropped).toBe(4)
    expect(broadcast.dropped).toBe(4)
    expect(asked).toBe(3)
    expect(await read(quick)).toEqual([0, 1, 2, 3, 4, 5, 6, 7])
    expect(quick.dropped).toBe(0)
  })

  it('bounds a backlog by bytes too', () => {
    const broadcast = new Broadcast(() => {})
    const reader = broadcast.subscribe({ maxBytes: 250 })
    for (let pts = 0; pts < 3; pts++) broadcast.write(packet(pts, true))
    expect(reader.dropped).toBe(3)
  })

  it('forgets a reader that has left', async () => {
    const broadcast = new Broadcast(() => {})
    const reader = broadcast.subscribe()
    broadcast.write(packet(0, true))
    for await (const _ of reader) break
    expect(broadcast.readers).toBe(0)
  })

  it('reports when the last reader has left, whoever ends it', () => {
    let left = 0
    const broadcast = new Broadcast(
      () => {},
      () => left++,
    )
    const [first, second] = [broadcast.subscribe(), broadcast.subscribe()]
    first.end()
    expect(left).toBe(0)
    second.end()
    second.end()
    expect(left).toBe(1)
    broadcast.subscribe()
    broadcast.end()
    expect(left).toBe(2)
  })

  it('ends readers that join after the end at once', async () => {
    const broadcast = new Broadcast(() => {})
    broadcast.end()
    expect(await read(broadcast.subscribe())).toEqual([])
  })
})
