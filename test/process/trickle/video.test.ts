import { readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { Broadcast } from '../../../src/core/broadcast.ts'
import type { IngestSource } from '../../../src/core/media/endpoints.ts'
import type { EncodedPacket } from '../../../src/core/media/packet.ts'
import { sleep } from '../../../src/core/resource.ts'
import { openTsSource } from '../../../src/mpegts/source.ts'
import { openTricklePublisher } from '../../../src/trickle/client/publisher.ts'
import { openTrickleSubscriber } from '../../../src/trickle/client/subscriber.ts'
import { openTrickleEgress } from '../../../src/trickle/egress.ts'
import { openTrickleIngest } from '../../../src/trickle/ingest.ts'
import { publishTo } from '../../../src/trickle/server/local-publication.ts'
import { makeNumberedClip } from '../../helpers/media/clip.ts'
import { decodeNumbers, probePackets } from '../../helpers/media/probe-ts.ts'
import { get, serve, silent, until } from '../../unit/trickle/harness.ts'

const context = { log: silent }
const mime = 'video/MP2T'
const file = join(tmpdir(), `millrace-trickle-${process.pid}.ts`)
const FPS = 30
const SECONDS = 6

beforeAll(() =>
  makeNumberedClip({ file, seconds: SECONDS, width: 320, height: 180, fps: FPS, gop: FPS, bframes: 2, audio: true }),
)

async function* chunksOf(bytes: Buffer, size = 10_000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) {
    yield bytes.subarray(at, at + size)
    // Sent at a multiple of real time: live readers never see all segments at once.
    await sleep(2)
  }
}

const openClip = async () => openTsSource({ kind: 'mpegts', bytes: chunksOf(await readFile(file)) }, context)

async function packetsOf(source: IngestSource): Promise<EncodedPacket[]> {
  const packets: EncodedPacket[] = []
  for await (const packet of source.packets) packets.push(packet)
  return packets
}

const facts = (packets: EncodedPacket[], kind: string) =>
  packets
    .filter(({ track }) => track.kind === kind)
    .map(({ pts, dts, key, data }) => ({ pts, dts, key, bytes: Buffer.from(data).toString('base64') }))

test('a stream is published as independently decodable segments and read back packet by packet', async () => {
  const { url, port, trickle } = await serve()
  const source = await openClip()
  const broadcast = new Broadcast(() => {})
  const publication = await openTricklePublisher(
    { url: `${url}/one`, mime, create: true, deleteOnClose: false },
    context,
  )
  const egress = await openTrickleEgress({ reader: broadcast.subscribe(), to: { publication } }, context)
  const subscription = await openTrickleSubscriber({ url: `${url}/one` }, context)
  const arriving = openTrickleIngest({ from: { subscription } }, context).then(packetsOf)
  await until(() => trickle.readers > 0)
  const sent: EncodedPacket[] = []
  for await (const packet of source.packets) {
    sent.push(packet)
    broadcast.write(packet)
  }
  broadcast.end()
  expect((await egress.closed).why).toBe('ended')
  expect(egress.segments).toBe(SECONDS)
  expect(egress.stats().dropped).toBe(0)
  const numbers: (number | undefined)[] = []
  for (let seq = 0; seq < SECONDS; seq++) {
    const segment = (await get(port, `/one/${seq}`)).body
    const streams = await probePackets(segment)
    expect(streams.find(({ kind }) => kind === 'video')?.packets[0]?.key).toBe(true)
    numbers.push(...(await decodeNumbers(segment)).map(({ number }) => number))
  }
  expect(numbers).toEqual(Array.from({ length: SECONDS * FPS }, (_, index) => index))
  trickle.get('one')?.close()
  const received = await arriving
  for (const kind of ['video', 'audio']) {
    const expected = facts(sent, kind)
    // Audio before the first keyframe belongs to no segment.
    const got = facts(received, kind)
    expect(got.length).toBeGreaterThan(expected.length - 3)
    expect(got).toEqual(expected.slice(expected.length - got.length))
  }
})

test('bytes are sent while a segment is still being written', async () => {
  const { trickle } = await serve()
  const channel = trickle.create('one', mime)
  const source = await openClip()
  const broadcast = new Broadcast(() => {})
  await using egress = await openTrickleEgress({ reader: broadcast.subscribe(), to: { channel } }, context)
  let packets = 0
  for await (const packet of source.packets) {
    broadcast.write(packet)
    await sleep(0)
    if (++packets === 20) break
  }
  await until(() => (channel.locate(0).segment?.bytes ?? 0) > 0)
  expect(channel.locate(0).segment?.closed).toBe(false)
  expect(egress.segments).toBe(0)
  await egress.close()
  expect(egress.segments).toBe(1)
})

test('a missed segment counts as a loss, and the stream continues', async () => {
  const { trickle } = await serve({ channel: { ringSegments: 2 } })
  const channel = trickle.create('one', mime)
  const opening = openTrickleIngest({ from: { channel } }, context)
  const source = await openClip()
  const broadcast = new Broadcast(() => {})
  const egress = await openTrickleEgress({ reader: broadcast.subscribe(), to: { channel } }, context)
  const packets = await packetsOf(source)
  const write = (from: number, to: number) => {
    for (const packet of packets.slice(from, to)) broadcast.write(packet)
  }
  const third = Math.floor(packets.length / 3)
  write(0, third)
  const ingest = await opening
  // The reader pauses while most of the clip passes.
  write(third, packets.length)
  broadcast.end()
  await egress.closed
  channel.close()
  const received = await packetsOf(ingest)
  expect(ingest.stats().lost).toBeGreaterThan(0)
  expect(received.length).toBeGreaterThan(0)
  expect(received.at(-1)?.pts).toBeGreaterThan(packets[third]?.pts ?? 0)
  expect((await ingest.closed).why).toBe('ended')
})

test('an ingest ends with its channel, and stops subscribing when it is closed or cannot open', async () => {
  const { trickle, url } = await serve()
  const channel = trickle.create('one', mime)
  const failed = openTrickleIngest({ from: { channel }, openTimeoutMs: 50 }, context)
  await expect(failed).rejects.toMatchObject({ code: 'timeout' })
  const junk = publishTo(channel).open()
  const subscription = await openTrickleSubscriber({ url: `${url}/one`, start: -2 }, context)
  const opening = openTrickleIngest({ from: { subscription } }, context)
  for (let i = 0; i < 20; i++) junk.write(Buffer.alloc(100_000, 'no transport stream '))
  await expect(opening).rejects.toMatchObject({ code: 'unsupported-media' })
  expect((await subscription.closed).why).toBe('stopped')
  await until(() => trickle.readers === 0)
})
