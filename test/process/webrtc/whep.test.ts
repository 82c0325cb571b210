import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, test } from 'vitest'
import { classes, GenericNack, Message, methods, type RtcpSrPacket, RtcpTransportLayerFeedback } from 'werift'
import { joinNalUnits } from '../../../src/codec/annexb.ts'
import { Broadcast } from '../../../src/core/broadcast.ts'
import { nowMs } from '../../../src/core/clock.ts'
import type { AudioTrack, EncodedPacket, VideoTrack } from '../../../src/core/media/packet.ts'
import type { IceSettings } from '../../../src/webrtc/ice/agent.ts'
import { type IcePort, openSharedPort } from '../../../src/webrtc/ice/port.ts'
import { nodePrimitives } from '../../../src/webrtc/srtp/primitives.ts'
import { openWhepSession, type WhepSession } from '../../../src/webrtc/whep/whep.ts'
import { nothingLeft } from '../../helpers/nothing-left.ts'
import { LogCollector } from '../../helpers/server/logs.ts'
import { waitFor } from '../../helpers/wait.ts'
import { ICE } from './support/server.ts'
import { WeriftViewer } from './support/viewer.ts'

const VIDEO: VideoTrack = { id: 'video', kind: 'video', codec: 'h264' }
const AUDIO: AudioTrack = { id: 'audio', kind: 'audio', codec: 'opus', sampleRate: 48_000, channels: 2 }

const nal = (header: number, bytes: number, seed: number) => {
  const unit = new Uint8Array(bytes).map((_, i) => 1 + ((i * 7 + seed) % 250))
  unit[0] = header
  return unit
}

/** Frames at 30 per second; the first is a keyframe of `keyBytes`. */
function frame(number: number, bytes: number): EncodedPacket {
  const key = number === 0
  const sets = key ? [nal(0x67, 12, 1), nal(0x68, 5, 2)] : []
  return { track: VIDEO, key, pts: number * 3000, data: joinNalUnits([...sets, nal(key ? 0x65 : 0x41, bytes, number)]) }
}

const audio = (number: number, startPts = 0): EncodedPacket => ({
  track: AUDIO,
  key: true,
  pts: startPts + number * 1800,
  data: Uint8Array.of(0xfc, number, 1, 2, 3),
})

class Room {
  readonly viewer: WeriftViewer
  readonly broadcast = new Broadcast(() => {})
  readonly logs = new LogCollector()
  keyframes: number[] = []
  session!: WhepSession

  readonly #ice: IceSettings

  constructor(rtx = false, ice = ICE) {
    this.viewer = new WeriftViewer(rtx)
    this.#ice = ice
  }

  async open(offer?: string): Promise<void> {
    this.session = await openWhepSession(
      {
        offer: offer ?? (await this.viewer.offer()),
        reader: this.broadcast.subscribe(),
        ice: this.#ice,
        requestKeyframe: () => this.keyframes.push(nowMs()),
      },
      { log: this.logs.log },
    )
    await this.viewer.accept(this.session.answer)
  }

  async connect(offer?: string): Promise<void> {
    await this.open(offer)
    await this.session.connected
    await waitFor('the viewer', () => this.viewer.peer.connectionState === 'connected')
    // The receivers of the viewer are ready a moment after its transport.
    await sleep(50)
  }

  async close(): Promise<void> {
    await this.session?.close()
    await this.viewer.peer.close()
  }
}

let room: Room
let plainPort: IcePort | undefined
afterEach(async () => {
  await room?.close()
  await plainPort?.close()
  plainPort = undefined
})

describe('a viewer', () => {
  test.each([
    ['by the system calls and OpenSSL', true],
    ["by Node's modules alone", false],
  ])('gets the access units unchanged, with RTP timestamps from their presentation times, %s', async (_, native) => {
    if (!native) plainPort = await openSharedPort(0, false)
    room = new Room(false, plainPort ? { sharedPort: plainPort, primitives: nodePrimitives } : ICE)
    await room.connect()
    const sent = Array.from({ length: 20 }, (_, i) => frame(i, i === 0 ? 60_000 : 500 + i * 400))
    for (const [i, packet] of sent.entries()) {
      room.broadcast.write(packet)
      room.broadcast.write(audio(i))
      await sleep(20)
    }
    const { viewer } = room
    await waitFor('all frames', () => viewer.units.length === sent.length)
    for (const [i, unit] of viewer.units.entries()) {
      expect(Buffer.compare(unit.data, sent[i]!.data)).toBe(0)
      expect((unit.timestamp - viewer.units[0]!.timestamp) >>> 0).toBe(sent[i]!.pts)
    }
    const stamps = viewer.audioPackets.map(({ header }) => header.timestamp)
    expect(stamps.map((stamp) => (stamp - stamps[0]!) >>> 0)).toEqual(sent.map((_, i) => i * 960))
    expect(viewer.audioPackets[3]!.payload).toEqual(Buffer.from(audio(3).data))
  })

  test('requests a keyframe once connected, and gets nothing before one', async () => {
    room = new Room()
    await room.connect()
    expect(room.keyframes).toHaveLength(1)
    room.broadcast.write({ ...frame(1, 900), key: false })
    room.broadcast.write(frame(0, 900))
    room.broadcast.write(frame(2, 900))
    await waitFor('two frames', () => room.viewer.units.length === 2)
    expect(room.viewer.units[0]!.data[4]! & 0x1f).toBe(7)
  })

  test('stays lip-synced though the audio is ahead of the video', async () => {
    room = new Room()
    const reports = new Map<string, RtcpSrPacket>()
    await room.connect()
    for (const transceiver of room.viewer.peer.getTransceivers()) {
      transceiver.receiver.onRtcp.subscribe((packet) => {
        if (packet.type === 200) reports.set(transceiver.kind, packet as RtcpSrPacket)
      })
    }
    // Audio of now, and a frame of 500 ms ago.
    for (let i = 0; i < 90; i++) {
      room.broadcast.write(audio(i, 45_000))
      if (i % 2 === 0) room.broadcast.write(frame(i / 2, 600))
      await sleep(20)
    }
    await waitFor('reports on both', () => reports.size === 2)
    const wall = (kind: 'video' | 'audio', firstStamp: number, firstPts: number, rate: number) => {
      const { ntpTimestamp, rtpTimestamp } = reports.get(kind)!.senderInfo
      const seconds = Number(ntpTimestamp >> 32n) + Number(ntpTimestamp & 0xffffffffn) / 2 ** 32
      // Wall-clock time of timestamp 0.
      return seconds - (((rtpTimestamp - firstStamp) | 0) / rate + firstPts / 90_000)
    }
    const { viewer } = room
    const video = wall('video', viewer.units[0]!.timestamp, 0, 90_000)
    const audioTime = wall('audio', viewer.audioPackets[0]!.header.timestamp, 45_000, 48_000)
    expect(Math.abs(video - audioTime)).toBeLessThan(0.002)
  })

  test('gets a large keyframe in small bursts within the frame interval', async () => {
    room = new Room()
    await room.connect()
    const times: number[] = []
    room.viewer.lose = () => {
      times.push(nowMs())
      return false
    }
    room.broadcast.write(frame(0, 120_000))
    await waitFor('the frame', () => room.viewer.units.length === 1)
    expect(times.length).toBeGreaterThan(100)
    expect(times.at(-1)! - times[0]!).toBeGreaterThan(8)
  })

  test('a frame loss becomes one keyframe request, however often it is reported', async () => {
    room = new Room()
    await room.connect()
    room.broadcast.write(frame(0, 900))
    await waitFor('a frame', () => room.viewer.units.length === 1)
    await sleep(300)
    const before = room.keyframes.length
    const [transceiver] = room.viewer.peer.getTransceivers()
    const { ssrc } = room.viewer.videoPackets[0]!.header
    for (let i = 0; i < 5; i++) await transceiver!.receiver.sendRtcpPLI(ssrc)
    await waitFor('a request', () => room.keyframes.length > before)
    await sleep(100)
    expect(room.keyframes.length).toBe(before + 1)
  })

  test.each([false, true])('a lost packet is retransmitted (with RTX: %s)', async (rtx) => {
    room = new Room(rtx)
    await room.connect()
    expect(room.session.answer.includes('ssrc-group:FID')).toBe(rtx)
    room.broadcast.write(frame(0, 5000))
    await waitFor('a frame', () => room.viewer.units.length === 1)
    await sleep(30)
    const { header, payload } = room.viewer.videoPackets[2]!
    const count = room.viewer.videoPackets.length
    const feedback = new GenericNack({ senderSsrc: 1, mediaSourceSsrc: header.ssrc, lost: [header.sequenceNumber] })
    const [transport] = room.viewer.peer.dtlsTransports
    await transport!.sendRtcp([new RtcpTransportLayerFeedback({ feedback })])
    await waitFor('the packet', () => room.session.stats().resent === 1)
    // werift unwraps RTX, so both look like the original packet.
    await waitFor('the packet', () => room.viewer.videoPackets.length > count)
    const again = room.viewer.videoPackets.at(-1)!
    expect([again.header.sequenceNumber, again.payload]).toEqual([header.sequenceNumber, payload])
  })

  test('retransmissions stay within a share of the bitrate, whatever is requested', async () => {
    room = new Room()
    await room.connect()
    for (let i = 0; i < 30; i++) {
      room.broadcast.write(frame(i, 20_000))
      await sleep(20)
    }
    await waitFor('the frames', () => room.viewer.units.length === 30)
    const before = room.session.stats()
    const lost = room.viewer.videoPackets.slice(-200).map(({ header }) => header.sequenceNumber)
    const mediaSourceSsrc = room.viewer.videoPackets[0]!.header.ssrc
    const [transport] = room.viewer.peer.dtlsTransports
    for (let i = 0; i < 30; i++) {
      const feedback = new GenericNack({ senderSsrc: 1, mediaSourceSsrc, lost })
      await transport!.sendRtcp([new RtcpTransportLayerFeedback({ feedback })])
      await sleep(20)
    }
    await waitFor('refusals', () => room.session.stats().resendsRefused > 0)
    const { resent } = room.session.stats()
    const packets = room.viewer.videoPackets.length
    expect(resent - before.resent).toBeLessThan(packets / 4 + 150)
    expect(resent - before.resent).toBeGreaterThan(50)
  })

  test('leaves nothing behind', async () => {
    room = new Room()
    const offer = await room.viewer.offer()
    // By now the sockets of the viewer are open.
    const check = nothingLeft()
    await room.connect(offer)
    const closed = room.session.close()
    expect(await closed).toEqual({ why: 'stopped' })
    expect(await room.session.close()).toEqual({ why: 'stopped' })
    await waitFor('the goodbye', () => room.viewer.peer.dtlsTransports[0]?.state === 'closed')
    await room.viewer.peer.close()
    await check(10_000)
  })

  test('that vanishes is gone within 30 s, with its socket', async () => {
    room = new Room()
    await room.connect()
    const started = nowMs()
    await room.viewer.peer.close()
    expect(await room.session.closed).toEqual({ why: 'ended' })
    expect(nowMs() - started).toBeLessThan(30_000)
  })

  test('that never connects ends the session within 15 s', async () => {
    room = new Room()
    room.session = await openWhepSession(
      { offer: await room.viewer.offer(), reader: room.broadcast.subscribe(), ice: ICE, requestKeyframe: () => {} },
      { log: room.logs.log },
    )
    await expect(room.session.connected).rejects.toMatchObject({ code: 'timeout' })
    expect(await room.session.closed).toMatchObject({ why: 'failed', error: { code: 'timeout' } })
    expect(room.broadcast.readers).toBe(0)
  })
})

describe('the port of a session ignores', () => {
  const ask = async (session: WhepSession, data: Buffer): Promise<Buffer[]> => {
    const port = Number(/a=candidate:1 1 udp \d+ \S+ (\d+) typ host/.exec(session.answer)![1])
    const socket = createSocket('udp4')
    const answers: Buffer[] = []
    socket.on('message', (answer) => answers.push(answer))
    socket.send(data, port, '127.0.0.1')
    await sleep(150)
    socket.close()
    await once(socket, 'close')
    return answers
  }
  const line = (text: string, name: string) => new RegExp(`a=${name}:(\\S+)`).exec(text)![1]!
  const request = (
    username: string,
    password?: string,
    role: 'ICE-CONTROLLING' | 'ICE-CONTROLLED' = 'ICE-CONTROLLING',
  ) => {
    const message = new Message(methods.BINDING, classes.REQUEST)
    message.setAttribute('USERNAME', username).setAttribute('PRIORITY', 1).setAttribute(role, 1n)
    message.setAttribute('USE-CANDIDATE', null)
    if (password !== undefined) message.addMessageIntegrity(Buffer.from(password))
    return message.addFingerprint().bytes
  }

  test('clients that do not know its password', async () => {
    room = new Room()
    const offer = await room.viewer.offer()
    room.session = await openWhepSession(
      { offer, reader: room.broadcast.subscribe(), ice: ICE, requestKeyframe: () => {} },
      { log: room.logs.log },
    )
    const { answer } = room.session
    const user = `${line(answer, 'ice-ufrag')}:${line(offer, 'ice-ufrag')}`
    const password = line(answer, 'ice-pwd')
    expect(await ask(room.session, request(user))).toEqual([])
    expect(await ask(room.session, request(user, 'wrong'))).toEqual([])
    expect(await ask(room.session, request(user, line(offer, 'ice-pwd')))).toEqual([])
    expect(await ask(room.session, request(user, 'wrong', 'ICE-CONTROLLED'))).toEqual([])
    expect(await ask(room.session, request(`${line(answer, 'ice-ufrag')}:someone`, password))).toEqual([])
    expect(await ask(room.session, request('someone:else', password))).toEqual([])
    const clientHello = Buffer.concat([
      Buffer.from('16feff00000000000000000034010000280000000000000028fefd', 'hex'),
      Buffer.alloc(38),
    ])
    expect(await ask(room.session, clientHello)).toEqual([])
    expect(await ask(room.session, Buffer.alloc(1200, 0x80))).toEqual([])
    // The answer, and a check of ours that would give consent.
    const asked = request(user, password)
    const answers = await ask(room.session, asked)
    expect(answers.map((one) => one.readUInt16BE(0))).toEqual([0x0101, 0x0001])
    expect(Buffer.concat(answers).length).toBeLessThanOrEqual(3 * asked.length)
  })

  test('and sends no media to an address that answered no check, whoever signed one from there', async () => {
    room = new Room()
    const offer = await room.viewer.offer()
    await room.connect(offer)
    const { answer } = room.session
    const user = `${line(answer, 'ice-ufrag')}:${line(offer, 'ice-ufrag')}`
    const signed = request(user, line(answer, 'ice-pwd'))
    const port = Number(/a=candidate:1 1 udp \d+ \S+ (\d+) typ host/.exec(answer)![1])
    const victim = createSocket('udp4')
    const arrived: Buffer[] = []
    victim.on('message', (data) => arrived.push(data))
    const send = () => victim.send(signed, port, '127.0.0.1')
    let sent = 0
    for (let i = 0; i < 60; i++) {
      if (i % 10 === 5) {
        send()
        sent += signed.length
      }
      room.broadcast.write(frame(i, 5000))
      await sleep(20)
    }
    await waitFor('all frames at the viewer', () => room.viewer.units.length === 60)
    victim.close()
    expect(Buffer.concat(arrived).length).toBeLessThanOrEqual(3 * sent)
    expect(arrived.every((data) => data[0]! <= 3)).toBe(true)
  })
})
