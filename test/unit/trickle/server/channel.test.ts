import { expect, test } from 'vitest'
import { Channel } from '../../../../src/trickle/server/channel.ts'
import type { ChannelWriter } from '../../../../src/trickle/server/channel-writer.ts'
import { newCounters } from '../../../../src/trickle/server/counters.ts'

const put = (channel: Channel, seq: number, text = 'x') => {
  const writer = channel.open(seq)
  writer.write(Buffer.from(text))
  writer.close()
}

test('a publisher that starts at 0 again after the last one left restarts the channel', () => {
  const channel = new Channel('one', '')
  for (let seq = 0; seq < 100; seq++) put(channel, seq)
  const waiting = channel.locate(-1).segment
  put(channel, 0, 'new')
  expect(channel.head).toBe(1)
  expect(waiting?.closed).toBe(true)
  put(channel, 1, 'next')
  expect(channel.locate(1).segment?.bytes).toBe(4)
})

test.each([
  ['another publisher is connected', { writing: 99 }],
  ['it came less far', { count: 5 }],
  ['it did not begin at 0', { first: 1 }],
  ['restarts are off', { options: { restart: false } }],
])('but not when %s', (_, { writing, count = 100, first = 0, options = {} }: Case) => {
  const channel = new Channel('one', '', options)
  for (let seq = first; seq < count; seq++) put(channel, seq)
  if (writing !== undefined) channel.open(writing + 1)
  put(channel, 0, 'new')
  expect(channel.head).toBe(count)
})

type Case = { writing?: number; count?: number; first?: number; options?: { restart?: boolean } }

test('any sequence of operations keeps within the bounds, and nobody waits for a segment that cannot come', () => {
  // Seeded, so that a failure is reproducible.
  let seed = 12345
  const random = (below: number) => {
    seed = (seed * 1103515245 + 12345) % 2147483648
    return Math.floor((seed / 2147483648) * below)
  }
  const channel = new Channel('one', '', { ringSegments: 8, ringBytes: 5000, segmentBytes: 2000 }, newCounters())
  let writers: ChannelWriter[] = []
  for (let step = 0; step < 20_000; step++) {
    const near = Math.max(0, channel.head + random(7) - 4)
    const action = random(12)
    if (action < 3) writers.push(channel.open(random(3) === 0 ? -1 : near, random(20) === 0))
    else if (action < 7) writers[random(writers.length)]?.write(Buffer.alloc(random(900)))
    else if (action === 7) writers.splice(random(writers.length), 1)[0]?.close()
    else if (action === 8) writers.splice(random(writers.length), 1)[0]?.abort()
    else if (action === 9) channel.cut(near)
    else channel.locate([near, -1, -2, -5][random(4)] ?? 0)
    writers = writers.filter((writer) => !writer.segment.closed || random(2) === 0)
    channel.locate(channel.head)
    const held = Array.from({ length: channel.head + 12 }, (_, seq) => peek(channel, seq)).filter(
      (s) => s !== undefined,
    )
    expect(held.length).toBeLessThanOrEqual(8)
    expect(held.reduce((sum, segment) => sum + segment.bytes, 0)).toBe(channel.bytes)
    expect(channel.bytes).toBeLessThanOrEqual(7000)
    for (const segment of held) if (segment.closed) expect(segment.seq).toBeLessThan(channel.head)
    if (channel.head > 200) channel.open(0, true).abort()
  }
})

/** Looks up a segment without creating it. */
function peek(channel: Channel, seq: number) {
  if (channel.head === 0 && seq === 1) return undefined
  return channel.locate(seq).segment
}
