import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, expect, test } from 'vitest'
import { MediaStreamTrack, RTCPeerConnection, RTCRtpCodecParameters, RtpHeader, RtpPacket } from 'werift'
import { joinNalUnits } from '../../../src/codec/annexb.ts'
import { packetizeH264 } from '../../../src/codec/rtp/h264.ts'
import type { IngestSource } from '../../../src/core/media/endpoints.ts'
import type { EncodedPacket } from '../../../src/core/media/packet.ts'
import { openWhipSession, type WhipSession } from '../../../src/webrtc/whip/whip.ts'
import { steadyHandshake } from '../../helpers/media/werift-handshake.ts'
import { nothingLeft } from '../../helpers/nothing-left.ts'
import { LogCollector } from '../../helpers/server/logs.ts'
import { waitFor } from '../../helpers/wait.ts'
import { LossyPath } from './support/lossy-path.ts'
import { ICE } from './support/server.ts'

/** Constrained baseline: 640x360 and 320x180. */
const LARGE = Buffer.from('6742c01ed900a02ff970110000030001000003003c0f162e48', 'hex')
const SMALL = Buffer.from('6742c00dd901419f9f0110000003001000000303c0f142a480', 'hex')
const PPS = Buffer.from('68cb8cb2', 'hex')

function frame(number: number, bytes: number, sps?: Uint8Array): Uint8Array {
  const slice = new Uint8Array(bytes).map((_, i) => 1 + ((i * 7 + number) % 250))
  slice.set([sps ? 0x65 : 0x41, 0x88])
  return joinNalUnits([...(sps ? [sps, PPS] : []), slice])
}

/** A publisher built on the peer connection of werift. */
class WeriftPublisher {
  readonly peer: RTCPeerConnection
  readonly #video = new MediaStreamTrack({ kind: 'video' })
  readonly #audio = new MediaStreamTrack({ kind: 'audio' })
  #sequence = 65_500
  #audioSequence = 1
  keyframesAsked = 0
  /** Applied through sender reports. */
  tellsTheTime = true

  constructor() {
    const rtcpFeedback = [{ type: 'nack' }, { type: 'nack', parameter: 'pli' }]
    const parameters = 'packetization-mode=1;profile-level-id=42e01f'
    const h264 = { mimeType: 'video/H264', clockRate: 90_000, payloadType: 96, rtcpFeedback, parameters }
    const opus = { mimeType: 'audio/opus', clockRate: 48_000, channels: 2, payloadType: 111 }
    this.peer = new RTCPeerConnection({
      iceServers: [],
      codecs: { video: [new RTCRtpCodecParameters(h264)], audio: [new RTCRtpCodecParameters(opus)] },
    })
  }

  async offer(): Promise<string> {
    const { sender } = this.peer.addTransceiver(this.#video, { direction: 'sendonly' })
    sender.onPictureLossIndication.subscribe(() => this.keyframesAsked++)
    const audio = this.peer.addTransceiver(this.#audio, { direction: 'sendonly' })
    if (!this.tellsTheTime) for (const each of [sender, audio.sender]) each.runRtcp = async () => {}
    await this.peer.setLocalDescription(await this.peer.createOffer())
    steadyHandshake(this.peer)
    return this.peer.localDescription!.sdp
  }

  write(unit: Uint8Array, timestamp: number): void {
    const payloads = packetizeH264(unit, 1100)
    for (const [i, payload] of payloads.entries()) {
      const sequenceNumber = this.#sequence++ & 0xffff
      const marker = i === payloads.length - 1
      const header = new RtpHeader({ payloadType: 96, sequenceNumber, timestamp, marker, ssrc: 1 })
      this.#video.writeRtp(new RtpPacket(header, Buffer.from(payload)))
    }
  }

  /** Packets that are never sent, so that retransmissions fail too. */
  skip(packets: number): void {
    this.#sequence += packets
  }

  audio(data: Uint8Array, timestamp: number): void {
    const sequenceNumber = this.#audioSequence++
    const header = new RtpHeader({ payloadType: 111, sequenceNumber, timestamp, ssrc: 2 })
    this.#audio.writeRtp(new RtpPacket(header, Buffer.from(data)))
  }
}

let publisher: WeriftPublisher
let session: WhipSession
afterEach(async () => {
  await session?.close()
  await publisher?.peer.close()
})

async function connect(route: (answer: string) => string = (answer) => answer, offer?: string): Promise<void> {
  const text = offer ?? (await publisher.offer())
  session = await openWhipSession({ offer: text, ice: ICE }, { log: new LogCollector().log })
  await publisher.peer.setRemoteDescription({ type: 'answer', sdp: route(session.answer) })
  await session.connected
  await waitFor('the publisher', () => publisher.peer.connectionState === 'connected')
}

function collect(source: IngestSource): EncodedPacket[] {
  const packets: EncodedPacket[] = []
  void (async () => {
    for await (const packet of source.packets) packets.push(packet)
  })()
  return packets
}

test('frames and audio tracks are received unchanged', async () => {
  publisher = new WeriftPublisher()
  // These timestamps follow no clock, so sender reports would shift the audio.
  publisher.tellsTheTime = false
  await connect()
  const sent: Uint8Array[] = []
  for (let i = 0; i < 30; i++) {
    sent.push(frame(i, 400 + i * 300, i % 10 === 0 ? LARGE : undefined))
    publisher.write(sent.at(-1)!, 4_294_960_000 + i * 3000)
    publisher.audio(Uint8Array.of(0xfc, i), i * 960)
    await sleep(20)
  }
  const source = await session.source
  expect(source.tracks).toEqual([
    { id: 'video', kind: 'video', codec: 'h264', width: 640, height: 360 },
    { id: 'audio', kind: 'audio', codec: 'opus', sampleRate: 48_000, channels: 2 },
  ])
  const packets = collect(source)
  await waitFor('all of them', () => packets.length === 60)
  const video = packets.filter(({ track }) => track.kind === 'video')
  for (const [i, { data, pts, key }] of video.entries()) {
    expect(Buffer.compare(data, sent[i]!)).toBe(0)
    expect(pts - video[0]!.pts).toBe(i * 3000)
    expect(key).toBe(i % 10 === 0)
  }
  const audio = packets.filter(({ track }) => track.kind === 'audio')
  expect(audio.map(({ data }) => data[1])).toEqual(Array.from({ length: 30 }, (_, i) => i))
  expect(audio.map(({ pts }) => pts - audio[0]!.pts)).toEqual(Array.from({ length: 30 }, (_, i) => i * 1800))
})

test('another size is another track', async () => {
  publisher = new WeriftPublisher()
  await connect()
  for (let i = 0; i < 4; i++) publisher.write(frame(i, 500, i === 0 ? LARGE : i === 2 ? SMALL : undefined), i * 3000)
  const packets = collect(await session.source)
  await waitFor('all frames', () => packets.length === 4)
  const tracks = packets.map(({ track }) => track)
  expect(tracks[0]).toBe(tracks[1])
  expect(tracks[2]).toBe(tracks[3])
  expect(tracks[2]).toMatchObject({ width: 320, height: 180 })
  await expect(session.source).resolves.toMatchObject({ tracks: [tracks[3]] })
})

test('lost packets are requested again, and in the end nothing is missing', async () => {
  await using path = new LossyPath({ loss: 0.08, disorder: 0.1, lateMs: 20 })
  publisher = new WeriftPublisher()
  await connect(await path.open())
  const sent: Uint8Array[] = []
  for (let i = 0; i < 100; i++) {
    sent.push(frame(i, 3000, i === 0 ? LARGE : undefined))
    publisher.write(sent.at(-1)!, i * 3000)
    await sleep(10)
  }
  // Losses at the very end show only when something follows.
  for (let i = 100; i < 104; i++) {
    publisher.write(frame(i, 300), i * 3000)
    await sleep(20)
  }
  const packets = collect(await session.source)
  await waitFor('all frames', () => packets.length >= 100)
  expect(path.lost).toBeGreaterThan(10)
  for (const [i, unit] of sent.entries()) expect(Buffer.compare(packets[i]!.data, unit)).toBe(0)
})

test('a lost frame is dropped with those that depend on it, and a keyframe is requested', async () => {
  publisher = new WeriftPublisher()
  await connect()
  publisher.write(frame(0, 3000, LARGE), 0)
  const packets = collect(await session.source)
  await waitFor('a frame', () => packets.length === 1)
  const asked = publisher.keyframesAsked
  publisher.skip(3)
  publisher.write(frame(2, 500), 6000)
  await waitFor('a request', () => publisher.keyframesAsked > asked)
  expect(packets).toHaveLength(1)
  publisher.write(frame(3, 500, LARGE), 9000)
  await waitFor('a keyframe', () => packets.length === 2)
  expect(packets[1]!.key).toBe(true)
  expect((await session.source).stats().lost).toBe(3)
})

test('a publisher that is connected and sends nothing is disconnected', async () => {
  publisher = new WeriftPublisher()
  await connect()
  await expect(session.source).rejects.toMatchObject({ code: 'timeout' })
  expect(await session.closed).toMatchObject({ why: 'failed', error: { code: 'timeout' } })
})

test('the session ends with its source, and leaves nothing behind', async () => {
  publisher = new WeriftPublisher()
  const offer = await publisher.offer()
  const check = nothingLeft()
  await connect(undefined, offer)
  publisher.write(frame(0, 3000, LARGE), 0)
  publisher.audio(Uint8Array.of(0xfc, 0), 0)
  const source = await session.source
  const packets = collect(source)
  expect(await source.close()).toEqual({ why: 'stopped' })
  expect(await session.closed).toEqual({ why: 'stopped' })
  expect(packets).toHaveLength(2)
  await publisher.peer.close()
  await check(10_000)
})

test('a session closed before it is connected ends at once', async () => {
  publisher = new WeriftPublisher()
  session = await openWhipSession({ offer: await publisher.offer(), ice: ICE }, { log: new LogCollector().log })
  const started = performance.now()
  expect(await session.close()).toEqual({ why: 'stopped' })
  expect(performance.now() - started).toBeLessThan(500)
  await expect(session.connected).rejects.toMatchObject({ code: 'peer-failed' })
  await expect(session.source).rejects.toMatchObject({ code: 'peer-failed' })
})
