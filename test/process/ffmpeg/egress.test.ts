import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { TsReader } from '../../../src/codec/mpegts/reader.ts'
import { Broadcast } from '../../../src/core/broadcast.ts'
import type { EncodedPacket } from '../../../src/core/media/packet.ts'
import { UrlGuard } from '../../../src/core/url-guard.ts'
import { openRemoteEgress } from '../../../src/ffmpeg/remote/egress.ts'
import { ffmpegPath } from '../../helpers/binaries.ts'
import { makeNumberedClip } from '../../helpers/media/clip.ts'
import { freePort, receive } from '../../helpers/media/media-peer.ts'
import { probePackets } from '../../helpers/media/probe-ts.ts'
import { LogCollector } from '../../helpers/server/logs.ts'
import { waitFor } from '../../helpers/wait.ts'
import { frames } from '../../unit/codec/mpegts/ts-samples.ts'

let folder: string
let stuck: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mr-egress-'))
  stuck = join(folder, 'ffmpeg')
  // An output whose server has accepted the stream and reads nothing more.
  await writeFile(stuck, '#!/bin/sh\necho "[info] Output #0, flv" >&2\nexec sleep 60\n')
  await chmod(stuck, 0o755)
})
afterAll(() => rm(folder, { recursive: true, force: true }))

it('drops and counts what a slow server does not accept, and ends when it accepts nothing for long', async () => {
  const guard = new UrlGuard({ allowed: ['srt://127.0.0.1:9'], verifyTls: false })
  const broadcast = new Broadcast(() => {})
  const other = broadcast.subscribe({ maxPackets: 1_000_000, maxBytes: 1_000_000_000 })
  const reader = broadcast.subscribe({ maxPackets: 50 })
  const [key, delta] = frames(2)
  const write = (at: number) => {
    const packet = at % 25 === 0 ? key! : delta!
    broadcast.write({ ...packet, data: Buffer.concat([packet.data, Buffer.alloc(20_000)]), pts: at * 3000 })
  }
  let at = 0
  const writing = setInterval(() => write(at++), 1)
  const egress = await openRemoteEgress(
    {
      kind: 'srt',
      target: await guard.checkMedia('srt://127.0.0.1:9', 'url', ['srt']),
      ffmpeg: { path: stuck, version: { major: 5, minor: 1, text: '5.1' }, encoders: new Set<string>(), decodes: [] },
      reader,
      hasAudio: () => false,
      openTimeoutMs: 10_000,
      stallMs: 1000,
    },
    { log: new LogCollector().log },
  )
  await waitFor('losses', () => egress.stats().dropped > 50)
  const closed = await egress.closed
  clearInterval(writing)
  expect([closed.why, closed.error?.message]).toEqual(['failed', 'srt://127.0.0.1:9 has taken nothing for 1 s'])
  expect(egress.stats().dropped).toBeGreaterThan(50)
  expect([broadcast.readers, other.dropped]).toEqual([1, 0])
  other.end()
})

type Order = (video: EncodedPacket[], audio: EncodedPacket[]) => EncodedPacket[]

it.each<[string, Order]>([
  [
    'second frame is late, after seconds of its audio',
    ([first, ...rest], audio) => [first!, ...audio.slice(0, 150), ...rest, ...audio.slice(150)],
  ],
  ['audio is late', audioLate],
])('sends a stream whose %s', async (_, order) => {
  const clip = join(folder, 'clip.ts')
  await makeNumberedClip({ file: clip, seconds: 6, width: 320, height: 180, fps: 30, gop: 15, audio: true })
  const clipReader = new TsReader()
  const packets = [...clipReader.push(await readFile(clip)), ...clipReader.flush()]
  const [video, audio] = ['video', 'audio'].map((kind) => packets.filter(({ track }) => track.kind === kind))
  const port = await freePort()
  const url = `rtmp://127.0.0.1:${port}/live/x`
  const file = join(folder, 'received.ts')
  const target = await receive(['-f', 'flv', '-listen', '1', '-i', url], file)
  const guard = new UrlGuard({ allowed: [`rtmp://127.0.0.1:${port}`], verifyTls: false })
  const settings = {
    kind: 'rtmp',
    target: await guard.checkMedia(url, 'url', ['rtmp']),
    ffmpeg: {
      path: ffmpegPath(),
      version: { major: 5, minor: 1, text: '5.1' },
      encoders: new Set<string>(),
      decodes: [],
    },
    hasAudio: () => true,
    openTimeoutMs: 40_000,
    stallMs: 40_000,
  } as const
  const begin = async () => {
    const broadcast = new Broadcast(() => {})
    const reader = broadcast.subscribe({ maxPackets: 10_000 })
    for (const packet of order(video!, audio!)) broadcast.write(packet)
    broadcast.end()
    return await openRemoteEgress({ ...settings, reader }, { log: new LogCollector().log })
  }
  // An ffmpeg that was told to listen does so a little later.
  await using egress = await waitFor('a target that listens', begin)
  expect(await egress.closed).toEqual({ why: 'ended' })
  await target.closed
  const [received, heard] = await probePackets(file)
  expect([received?.packets.length, heard?.packets.length]).toEqual([video!.length, expect.any(Number)])
  expect(heard!.packets.length).toBeGreaterThan(audio!.length - 5)
})

/** The first packet tells that there is audio; the rest of it comes half a second after the frames of its time. */
function audioLate(video: EncodedPacket[], [first, ...audio]: EncodedPacket[]): EncodedPacket[] {
  const later = audio.map((packet) => ({ packet, at: packet.pts + 45_000 }))
  const all = [...video.map((packet) => ({ packet, at: packet.pts })), ...later].sort((a, b) => a.at - b.at)
  return [first!, ...all.map(({ packet }) => packet)]
}
