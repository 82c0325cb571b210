import { randomInt } from 'node:crypto'
import { expect, test } from 'vitest'
import { RTCSctpTransport } from 'werift'
import { StreamData } from '../../../../src/stream/output/data.ts'
import { sendFeed } from '../../../../src/webrtc/data/feed.ts'
import { answerRequests } from '../../../../src/webrtc/data/requests.ts'
import { nothingLeft } from '../../../helpers/nothing-left.ts'
import { waitFor } from '../../../helpers/wait.ts'
import { Link, withChecksum } from './link.ts'

test('werift still has the internals used here', () => {
  const transport = new RTCSctpTransport(5000)
  transport.setDtlsTransport({
    iceTransport: {},
    onStateChange: { subscribe: () => ({ unSubscribe: () => {} }) },
  } as never)
  const inside = transport.sctp as unknown as Record<string, unknown>
  expect(inside.advertisedRwnd).toBe(1024 * 1024)
  expect(inside).toMatchObject({ inboundStreams: {}, outboundQueue: [], sentQueue: [], flightSize: 0 })
  expect(inside).toHaveProperty('lastReceivedTsn', undefined)
  expect(inside.handleData).toBeTypeOf('function')
})

test('a thousand messages arrive in order with 5 % packet loss, each with the timestamp of its frame', async () => {
  const data = new StreamData()
  await using link = await new Link((channel) => {
    void sendFeed(channel, data.subscribe(), (pts) => (pts + 5) % 2 ** 32)
  }).open()
  const { received } = await link.channel('data')
  let carried = 0
  link.lose = () => ++carried % 20 === 0
  for (let number = 0; number < 1000; number++) {
    data.publish(number * 3000, { number, text: 'x'.repeat(number % 50 === 0 ? 3000 : 100) })
    if (number % 10 === 9) await new Promise(setImmediate)
  }
  await waitFor('all of them', () => received.length === 1000, { limitMs: 30_000 })
  const messages = received.map((text) => JSON.parse(text))
  expect(messages.map(({ data }) => data.number)).toEqual(Array.from({ length: 1000 }, (_, number) => number))
  expect(messages.every(({ pts, rtpTimestamp, lost }) => rtpTimestamp === pts + 5 && lost === undefined)).toBe(true)
  expect(data.counts).toEqual({ messages: 1000, lost: 0, missed: 0 })
})

test('a slow peer loses the oldest, counted, within a bound', async () => {
  const data = new StreamData()
  await using link = await new Link((channel) => void sendFeed(channel, data.subscribe(), () => undefined)).open()
  const { received } = await link.channel('data')
  link.lose = () => true
  for (let number = 0; number < 3000; number++) {
    data.publish(number, { number, filling: 'x'.repeat(1000) })
    if (number % 100 === 0) await new Promise(setImmediate)
  }
  expect(data.missed).toBeGreaterThan(1500)
  link.lose = () => false
  await waitFor('the newest', () => received.at(-1)?.startsWith('{"pts":2999,'), { limitMs: 30_000 })
  const lost = received.map((text) => JSON.parse(text).lost ?? 0).reduce((sum, one) => sum + one, 0)
  expect(lost + received.length).toBe(3000)
  expect(lost).toBe(data.missed)
})

test('messages longer than the peer accepts are skipped and counted', async () => {
  const data = new StreamData()
  await using link = await new Link((channel) => {
    Object.assign(channel, { maxMessageBytes: 100 })
    void sendFeed(channel, data.subscribe(), () => undefined)
  }).open()
  const { received } = await link.channel('data')
  for (const text of ['short', 'x'.repeat(200), 'again']) data.publish(1, text)
  await waitFor('the other two', () => received.length === 2)
  expect(received[1]).toBe('{"pts":1,"lost":1,"data":"again"}')
  expect(data.missed).toBe(1)
})

test('requests are answered in order, whatever order they finish in', async () => {
  await using link = await new Link((channel) =>
    answerRequests(channel, async (message) => {
      for (let turn = randomInt(20); turn > 0; turn--) await new Promise(setImmediate)
      return `${message} done`
    }),
  ).open()
  const { channel, received } = await link.channel('params')
  for (let number = 0; number < 100; number++) channel.send(String(number))
  await waitFor('all answers', () => received.length === 100)
  expect(received).toEqual(Array.from({ length: 100 }, (_, number) => `${number} done`))
})

test('a channel with too many pending requests is closed', async () => {
  await using link = await new Link((channel) => answerRequests(channel, () => new Promise(() => {}))).open()
  const { channel } = await link.channel('params')
  for (let number = 0; number < 400; number++) channel.send('x')
  await waitFor('the end of it', () => channel.readyState === 'closed')
  expect(link.channels[0]!.closed).toBe(true)
  // On a separate stream: werift reports a reset twice.
  expect((await link.channel('params', { id: 99 })).channel.readyState).toBe('open')
})

test('a peer has at most sixteen channels, and closed ones are freed', async () => {
  await using link = await new Link().open()
  const channels = []
  for (let number = 0; number < 16; number++) channels.push((await link.channel(`c${number}`)).channel)
  expect(link.channels.map(({ label }) => label)).toEqual(channels.map(({ label }) => label))
  const { channel: beyond } = await link.channel('beyond')
  await waitFor('its end', () => beyond.readyState === 'closed')
  channels[3]!.close()
  await waitFor('the end of one', () => link.channels[3]!.closed)
  expect((await link.channel('another', { id: 99 })).channel.readyState).toBe('open')
  expect(link.channels.filter(({ closed }) => !closed)).toHaveLength(16)
})

test('a message beyond the negotiated size ends the association', async () => {
  const messages: number[] = []
  await using link = await new Link((channel) => {
    channel.onMessage = (message) => messages.push(message.length)
  }).open()
  const { channel } = await link.channel('params')
  link.client.setRemoteMaxMessageSize(0)
  channel.send('x'.repeat(64 * 1024))
  await waitFor('the message', () => messages.length === 1)
  channel.send('x'.repeat(200 * 1024))
  await waitFor('its end', () => link.channels[0]!.closed)
  expect(messages).toEqual([65_536])
})

const u32 = (number: number) => [number >>> 24, (number >>> 16) & 255, (number >>> 8) & 255, number & 255]
const dataChunk = (sequence: number, text: string) =>
  Buffer.from([...u32(sequence >>> 0), 0, 9, 0, 0, ...u32(51), ...Buffer.from(text)])

test('no packet blocks it', async () => {
  await using link = await new Link().open()
  await link.channel('x')
  const next = (link.client.sctp as unknown as { localTsn: number }).localTsn
  const began = performance.now()
  // Zero lengths, endless ranges, unknown streams and TSNs.
  for (let number = 0; number < 200; number++) {
    await link.sendChunk(3, Buffer.from([...Array(8).fill(0), 0, 1, 0, 0, 0, 1, 255, 255]))
    await link.sendChunk(192, Buffer.from([0, 0, 0, 9, 255, 255, 0, 0]))
    await link.sendChunk(0, dataChunk(next + 1000 + number, 'x'))
    await link.sendChunk(4, Buffer.from([0, 1, 0, 0]))
  }
  expect(performance.now() - began).toBeLessThan(5000)
  expect((await link.channel('y')).channel.readyState).toBe('open')
})

test('with any altered packets it lives or ends, and throws nothing', async () => {
  let seed = 1
  const dice = (below: number) => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31
    return Math.floor((seed / 2 ** 31) * below)
  }
  for (let round = 0; round < 20; round++) {
    await using link = await new Link((channel) => answerRequests(channel, async (message) => `${message}`)).open()
    const { channel } = await link.channel('params')
    link.change = (packet) => {
      const other = Buffer.from(packet)
      for (let turns = dice(4); turns > 0; turns--) other[12 + dice(other.length - 12)] = dice(256)
      return withChecksum(dice(4) === 0 ? other.subarray(0, 12 + dice(other.length - 12)) : other)
    }
    for (let number = 0; number < 30; number++) {
      channel.send('y'.repeat(1 + dice(2000)))
      for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate)
    }
    channel.close()
    await new Promise(setImmediate)
  }
})

test('the longest negotiated message arrives, also with packet loss', async () => {
  const lengths: number[] = []
  const MiB = 1024 * 1024
  await using link = await new Link((channel) => {
    channel.onMessage = (message) => lengths.push(message.length)
  }, MiB).open()
  const { channel } = await link.channel('params')
  link.client.setRemoteMaxMessageSize(0)
  let carried = 0
  link.lose = () => ++carried % 100 === 0
  channel.send('x'.repeat(MiB))
  await waitFor('the message', () => lengths.length === 1, { limitMs: 60_000 })
  expect(lengths).toEqual([MiB])
})

test('fragments of an endless message are bounded', async () => {
  await using link = await new Link().open()
  await link.channel('x')
  const next = (link.client.sctp as unknown as { localTsn: number }).localTsn
  for (let piece = 0; piece < 4200 && !link.channels[0]!.closed; piece++) {
    await link.sendChunk(0, dataChunk(next + piece, 'x'))
  }
  await waitFor('its end', () => link.channels[0]!.closed)
})

test('nothing is left of a closed association, whichever side closed it', async () => {
  const left = nothingLeft()
  const data = new StreamData()
  for (const side of ['ours', 'client'] as const) {
    await using link = await new Link((channel) => void sendFeed(channel, data.subscribe(), () => undefined)).open()
    await link.channel('data')
    data.publish(1, 'one')
    link.lose = () => true
    data.publish(2, 'two')
    if (side === 'ours') link.ours.close()
    else {
      link.lose = () => false
      await link.client.stop()
      await waitFor('the end', () => link.channels[0]!.closed)
    }
    await link.client.stop()
    // A forgotten reader would fill its queue and lose the rest.
    for (let number = 0; number < 1500; number++) data.publish(number, number)
    expect(data.counts.missed).toBe(0)
  }
  await left()
})
