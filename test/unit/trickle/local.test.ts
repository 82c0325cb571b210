import { expect, test } from 'vitest'
import { Channel } from '../../../src/trickle/server/channel.ts'
import { publishTo } from '../../../src/trickle/server/local-publication.ts'
import { subscribeTo } from '../../../src/trickle/server/local-subscription.ts'
import type { Subscription } from '../../../src/trickle/subscription.ts'
import { pause } from './harness.ts'

const write = (channel: Channel, ...texts: string[]) => {
  const publication = publishTo(channel)
  for (const text of texts) {
    const writer = publication.open()
    writer.write(Buffer.from(text))
    writer.close()
  }
}

async function collect(subscription: Subscription, count = Number.POSITIVE_INFINITY): Promise<[number, string][]> {
  const got: [number, string][] = []
  for await (const { seq, bytes } of subscription) {
    let text = ''
    for await (const chunk of bytes) text += Buffer.from(chunk).toString()
    got.push([seq, text])
    if (got.length >= count) break
  }
  return got
}

test('published segments are read live, one by one', async () => {
  const channel = new Channel('one', 'a/b')
  const reading = collect(subscribeTo(channel))
  const publication = publishTo(channel)
  for (const text of ['a', 'bc']) {
    const writer = publication.open()
    for (const letter of text) {
      writer.write(Buffer.from(letter))
      await pause(1)
    }
    writer.close()
    expect(await writer.stored).toBe(true)
  }
  channel.close()
  expect(await reading).toEqual([
    [0, 'a'],
    [1, 'bc'],
  ])
  expect((await publication.closed).why).toBe('ended')
  expect(publication.stats()).toEqual({ segments: 2, bytes: 3, dropped: 0 })
  expect(channel.counters.bytesOut).toBe(3)
})

test('opening the next segment closes the previous one', async () => {
  const channel = new Channel('one', '')
  const publication = publishTo(channel)
  const first = publication.open()
  first.write(Buffer.from('a'))
  publication.open()
  expect(await first.stored).toBe(true)
  expect(first.write(Buffer.from('b'))).toBe(false)
})

test('a closed channel is read to its end, then ends', async () => {
  const channel = new Channel('one', '')
  const subscription = subscribeTo(channel, -2)
  write(channel, 'a', 'b', 'c')
  channel.close()
  expect(await collect(subscription)).toHaveLength(3)
  expect((await subscription.closed).why).toBe('ended')
})

test('a reader that fell behind continues with the newest segment and gets the number missed', async () => {
  const channel = new Channel('one', '', { ringSegments: 4 })
  const subscription = subscribeTo(channel)
  write(channel, ...'0123456789')
  expect(await collect(subscription, 1)).toEqual([[9, '9']])
  expect([subscription.missed, channel.counters.missed]).toEqual([9, 9])
})

test('a busy reader misses nothing that was restarted after a reset', async () => {
  const channel = new Channel('one', '')
  write(channel, 'a', 'b', 'c')
  const reading = collect(subscribeTo(channel, 2), 2)
  // Before the reader has received its first segment.
  const writer = channel.open(0, true)
  writer.write(Buffer.from('again'))
  writer.close()
  expect((await reading).at(-1)).toEqual([0, 'again'])
})

test('a reader continues after a reset moved the head back', async () => {
  const channel = new Channel('one', '')
  write(channel, 'a', 'b', 'c')
  const reading = collect(subscribeTo(channel, 2), 2)
  await pause(2)
  const writer = channel.open(0, true)
  await pause(2)
  writer.write(Buffer.from('again'))
  writer.close()
  expect(await reading).toEqual([
    [2, 'c'],
    [0, 'again'],
  ])
})

test('closing a subscription ends its loop at once, as does the signal', async () => {
  const channel = new Channel('one', '')
  const abort = new AbortController()
  const [closed, aborted] = [subscribeTo(channel), subscribeTo(channel, -1, abort.signal)]
  const loops = Promise.all([collect(closed), collect(aborted)])
  await pause(2)
  await closed.close()
  abort.abort()
  expect(await loops).toEqual([[], []])
  expect((await aborted.closed).why).toBe('stopped')
})

test('readers that leave early leave nothing behind', async () => {
  const channel = new Channel('one', '')
  write(channel, 'a')
  const subscription = subscribeTo(channel, 0)
  for await (const _ of subscription) break
  expect((await subscription.closed).why).toBe('stopped')
})

test('a local writer is cut at the longest segment like any other', async () => {
  const channel = new Channel('one', '', { segmentBytes: 10 })
  const writer = publishTo(channel).open()
  expect(writer.write(Buffer.alloc(8))).toBe(true)
  expect(writer.write(Buffer.alloc(8))).toBe(false)
  expect(await writer.stored).toBe(false)
  expect([channel.counters.oversized, channel.counters.truncated]).toEqual([1, 1])
})
