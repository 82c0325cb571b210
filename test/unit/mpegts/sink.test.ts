import { describe, expect, test } from 'vitest'
import { TsReader } from '../../../src/codec/mpegts/reader.ts'
import { Broadcast } from '../../../src/core/broadcast.ts'
import type { EncodedPacket } from '../../../src/core/media/packet.ts'
import { type TsSegmentOptions, tsSegments, tsStream } from '../../../src/mpegts/sink.ts'
import { audioPackets, frames } from '../codec/mpegts/ts-samples.ts'

async function* each(packets: EncodedPacket[]): AsyncGenerator<EncodedPacket> {
  yield* packets.toSorted((a, b) => a.pts - b.pts)
}

/** Contents of each segment read on its own, in presentation order. */
async function segments(packets: EncodedPacket[], options: TsSegmentOptions = {}): Promise<EncodedPacket[][]> {
  const parts: Uint8Array[][] = []
  for await (const { bytes, startsSegment } of tsSegments(each(packets), options)) {
    if (startsSegment) parts.push([])
    parts.at(-1)?.push(bytes)
  }
  return parts.map((part) => {
    const reader = new TsReader()
    const packets = [...part.flatMap((bytes) => reader.push(bytes)), ...reader.flush()]
    return packets.toSorted((a, b) => a.pts - b.pts)
  })
}

const video = (packets: EncodedPacket[]) => packets.filter(({ track }) => track.kind === 'video')

describe('segments', () => {
  test('start at the first keyframe after the minimum duration, each readable alone', async () => {
    const packets = [...frames(100, 20), ...audioPackets(150)]
    const parts = await segments(packets)
    expect(parts.map((part) => video(part).length)).toEqual([40, 40, 20])
    for (const part of parts) expect(video(part)[0]).toMatchObject({ key: true })
    expect(parts.flat().length).toBe(250)
    expect((await segments(packets, { minSegmentMs: 1 })).map((part) => video(part).length)).toEqual([
      20, 20, 20, 20, 20,
    ])
  })

  test('leave out what comes before the first keyframe', async () => {
    const early = audioPackets(20).map((packet) => ({ ...packet, pts: packet.pts - 20 * 1920 }))
    const parts = await segments([...early, ...frames(30).slice(5), ...audioPackets(20)])
    const [first] = parts
    expect(first?.every(({ pts }) => pts >= 90_000 + 10 * 3000)).toBe(true)
    expect(video(first ?? [])[0]?.key).toBe(true)
  })

  test('of audio alone start every two seconds, and end when video arrives', async () => {
    const late = frames(20).map((packet) => ({ ...packet, pts: packet.pts + 4.5 * 90_000 }))
    const parts = await segments([...audioPackets(250), ...late], { audioAlone: true })
    expect(parts.map((part) => [part[0]?.track.kind, part[0]?.pts])).toEqual([
      ['audio', 90_000 + 94 * 1920],
      ['audio', 90_000 + 141 * 1920],
      ['audio', 90_000 + 188 * 1920],
      ['video', 90_000 + 4.5 * 90_000],
    ])
    expect(video(parts.at(-1) ?? []).length).toBe(20)
  })

  test('begin with late video where there must be some', async () => {
    const late = frames(20).map((packet) => ({ ...packet, pts: packet.pts + 4.5 * 90_000 }))
    const [first, ...others] = await segments([...audioPackets(250), ...late])
    expect([video(first ?? [])[0]?.pts, others]).toEqual([90_000 + 4.5 * 90_000, []])
    expect(first?.every(({ pts }) => pts >= 90_000 + 4.5 * 90_000)).toBe(true)
  })
})

test('a chunk is available with its packet, and leaving the stream leaves the broadcast', async () => {
  const broadcast = new Broadcast(() => {})
  const reader = broadcast.subscribe()
  const stream = tsStream(reader)
  for (const packet of frames(3)) {
    const next = stream.next()
    broadcast.write(packet)
    const { value } = await next
    expect(value?.length).toBeGreaterThan(packet.data.length)
  }
  expect(broadcast.readers).toBe(1)
  const waiting = stream.next()
  reader.end()
  expect((await waiting).done).toBe(true)
  expect(broadcast.readers).toBe(0)
})
