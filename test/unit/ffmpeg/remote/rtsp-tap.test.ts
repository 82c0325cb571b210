import { describe, expect, it } from 'vitest'
import { joinNalUnits } from '../../../../src/codec/annexb.ts'
import { packetizeH264 } from '../../../../src/codec/rtp/h264.ts'
import { RtspResponses } from '../../../../src/codec/rtsp.ts'
import type { EncodedPacket } from '../../../../src/core/media/packet.ts'
import type { Closed } from '../../../../src/core/resource.ts'
import { RtspTap } from '../../../../src/ffmpeg/remote/rtsp-tap.ts'
import { LogCollector } from '../../../helpers/server/logs.ts'
import { frames } from '../../codec/mpegts/ts-samples.ts'

const BASE = 'rtsp://127.0.0.1:8554/camera'
const [KEY, DELTA] = frames(2).map(({ data }) => data) as [Uint8Array, Uint8Array]
const VIDEO = [
  'm=video 0 RTP/AVP 96',
  'a=rtpmap:96 H264/90000',
  'a=fmtp:96 packetization-mode=1',
  'a=control:trackID=0',
]
const AAC = [
  'm=audio 0 RTP/AVP 97',
  'a=rtpmap:97 MPEG4-GENERIC/48000/2',
  'a=fmtp:97 mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;config=1190',
  `a=control:${BASE}/trackID=1`,
]
const OPUS = ['m=audio 0 RTP/AVP 98', 'a=rtpmap:98 opus/48000/2', 'a=control:trackID=1']
const ALAW = ['m=audio 0 RTP/AVP 8', 'a=control:trackID=1']

/** A server and its client, as the relay between them hears both. */
function session(sdp: string[], info = '') {
  const tap = new RtspTap()
  const responses = new RtspResponses((head) => {
    tap.onHead(head)
    return head.lines
  }, tap)
  let sequence = 0
  const exchange = (method: string, url: string, headers: string[] = [], body = '') => {
    sequence++
    tap.onRequest(`${method} ${url} RTSP/1.0\r\nUser-Agent: x\r\nCSeq: ${sequence}\r\n\r\n`)
    const length = body ? [`Content-Length: ${body.length}`] : []
    const head = ['RTSP/1.0 200 OK', `CSeq: ${sequence}`, ...headers, ...length].join('\r\n')
    responses.push(Buffer.from(`${head}\r\n\r\n${body}`))
  }
  tap.connected()
  exchange('DESCRIBE', BASE, ['Content-Type: application/sdp'], ['v=0', ...sdp].join('\r\n'))
  exchange('SETUP', `${BASE}/trackID=0`, ['Transport: RTP/AVP/TCP;unicast;interleaved=0-1'])
  if (sdp.length > VIDEO.length) exchange('SETUP', `${BASE}/trackID=1`, ['Transport: RTP/AVP/TCP;interleaved=2-3'])
  exchange('PLAY', BASE, info ? [`RTP-Info: ${info}`] : [])
  const send = (channel: number, packet: Buffer, cut = packet.length) => {
    const whole = Buffer.concat([Buffer.from([0x24, channel, packet.length >> 8, packet.length & 255]), packet])
    responses.push(whole.subarray(0, cut))
    responses.push(whole.subarray(cut))
  }
  return { tap, send }
}

function rtp(payloadType: number, sequence: number, timestamp: number, payload: Uint8Array, marker = true): Buffer {
  const head = Buffer.alloc(12)
  head[0] = 0x80
  head[1] = payloadType | (marker ? 0x80 : 0)
  head.writeUInt16BE(sequence & 0xffff, 2)
  head.writeUInt32BE(timestamp >>> 0, 4)
  return Buffer.concat([head, payload])
}

function report(ntpSeconds: number, timestamp: number): Buffer {
  const body = Buffer.alloc(28)
  body[0] = 0x80
  body[1] = 200
  body.writeUInt16BE(6, 2)
  body.writeUInt32BE(ntpSeconds, 8)
  body.writeUInt32BE(timestamp >>> 0, 16)
  return body
}

/** A frame in its packets. */
function frame(sequence: number, timestamp: number, data: Uint8Array): Buffer[] {
  const payloads = packetizeH264(data, 200)
  return payloads.map((payload, i) => rtp(96, sequence + i, timestamp, payload, i === payloads.length - 1))
}

const aac = (sequence: number, timestamp: number, ...units: number[][]) => {
  const headers = units.flatMap((unit) => [(unit.length << 3) >> 8, (unit.length << 3) & 255])
  return rtp(97, sequence, timestamp, Uint8Array.of(0, headers.length * 8, ...headers, ...units.flat()))
}

const context = { log: new LogCollector().log }
const never = new Promise<Closed>(() => {})

async function take(packets: AsyncIterable<EncodedPacket>, count: number): Promise<EncodedPacket[]> {
  const taken: EncodedPacket[] = []
  for await (const packet of packets) if (taken.push(packet) === count) break
  return taken
}

describe('an RTSP session that is read along', () => {
  it.each<[string, string[], boolean]>([
    ['H.264', VIDEO, true],
    ['H.264 and AAC', [...VIDEO, ...AAC], true],
    ['H.264 and Opus', [...VIDEO, ...OPUS], true],
    ['H.265', VIDEO.map((line) => line.replace('H264', 'H265')), true],
    ['the G.711 of cameras', [...VIDEO, ...ALAW], false],
    ['interleaved units', VIDEO.map((line) => line.replace('mode=1', 'mode=2')), false],
    [
      'decoding order numbers',
      VIDEO.map((line) => line.replace('H264', 'H265').replace('packetization-mode', 'sprop-max-don-diff')),
      false,
    ],
    ['JPEG', VIDEO.map((line) => line.replace('H264', 'JPEG')), false],
    ['audio whose form is not told', [...VIDEO, ...AAC.map((line) => line.replace('config=1190', ''))], false],
    ['audio of another mode', [...VIDEO, ...AAC.map((line) => line.replace('AAC-hbr', 'CELP-cbr'))], false],
  ])('tells whether it can be read: %s', async (_, sdp, readable) => {
    expect(await session(sdp).tap.readable).toBe(readable)
  })

  it('gives a frame with its last packet, and not with the next frame', async () => {
    const { tap, send } = session(VIDEO)
    const opening = tap.open(1000, never, context)
    const packets = [...frame(65_530, 4_294_960_000, KEY), ...frame(65_540, 4_294_963_000, DELTA)]
    // Of what came before the first keyframe nothing can be shown.
    for (const packet of frame(65_500, 4_294_957_000, DELTA)) send(0, packet)
    let sequence = 65_505
    for (const packet of packets) {
      packet.writeUInt16BE(sequence++ & 0xffff, 2)
      send(0, packet, 7)
    }
    const source = await opening
    expect(source.tracks).toMatchObject([{ kind: 'video', codec: 'h264', width: expect.any(Number) }])
    const [first, second] = await take(source.packets, 2)
    expect([first?.key, second?.key]).toEqual([true, false])
    expect(second!.pts - first!.pts).toBe(3000)
    expect(Buffer.from(second!.data)).toEqual(Buffer.from(joinNalUnits([DELTA.subarray(DELTA[2] === 1 ? 3 : 4)])))
  })

  it('has AAC with its header, of several units in one packet and of one in several', async () => {
    const { tap, send } = session([...VIDEO, ...AAC])
    const opening = tap.open(1000, never, context)
    for (const packet of frame(0, 0, KEY)) send(0, packet)
    send(2, aac(0, 0, [1, 2, 3], [4, 5]))
    const parts = [Uint8Array.of(0, 16, 0, 32, 1, 2), Uint8Array.of(0, 16, 0, 32, 3, 4)]
    send(2, rtp(97, 1, 2048, parts[0]!, false))
    send(2, rtp(97, 2, 2048, parts[1]!))
    const source = await opening
    const audio = (await take(source.packets, 4)).filter(({ track }) => track.kind === 'audio')
    expect(audio.map(({ data }) => [...data.subarray(7)])).toEqual([
      [1, 2, 3],
      [4, 5],
      [1, 2, 3, 4],
    ])
    expect(audio.map(({ pts }) => pts - audio[0]!.pts)).toEqual([0, 1920, 3840])
    // 48 kHz, two channels, and the length with the header.
    expect([...audio[0]!.data.subarray(0, 6)]).toEqual([0xff, 0xf1, 0x4c, 0x80, 0x01, 0x5f])
  })

  it('sets both media side by side as the server says, and by its reports', async () => {
    const info = `url=${BASE}/trackID=0;seq=0;rtptime=1000,url=${BASE}/trackID=1;seq=0;rtptime=5000`
    const { tap, send } = session([...VIDEO, ...OPUS], info)
    const opening = tap.open(1000, never, context)
    for (const packet of frame(0, 1000 + 9000, KEY)) send(0, packet)
    send(2, rtp(98, 0, 5000 + 4800, Uint8Array.of(1, 2)))
    // At second 100 the video was at one second, and the audio at one and a half.
    send(1, report(100, 1000 + 90_000))
    send(3, report(100, 5000 + 72_000))
    send(2, rtp(98, 1, 5000 + 72_000, Uint8Array.of(3, 4)))
    const all = await take((await opening).packets, 3)
    expect(all.map(({ pts }) => pts)).toEqual([9000, 9000, 90_000])
  })

  it('counts what is lost, and leaves the frame out that it was of', async () => {
    const { tap, send } = session(VIDEO)
    const opening = tap.open(1000, never, context)
    const large = joinNalUnits([Uint8Array.of(0x41, ...new Uint8Array(900).fill(7))])
    for (const packet of frame(0, 0, KEY)) send(0, packet)
    const source = await opening
    const first = frame(0, 0, KEY).length
    const [one, , ...rest] = frame(first, 3000, large)
    for (const packet of [one!, ...rest]) send(0, packet)
    const after = first + rest.length + 2
    for (const packet of frame(after, 6000, DELTA)) send(0, packet)
    // It came twice, or is of another stream.
    for (const packet of frame(after, 6000, DELTA)) send(0, packet)
    send(9, rtp(96, after + 1, 9000, DELTA))
    send(0, rtp(111, after + 1, 9000, DELTA))
    const [, next] = await take(source.packets, 2)
    expect(next!.pts % 90_000).toBe(6000)
    expect(source.stats().lost).toBe(2)
  })

  it('ends as the client does that asked, before its tracks are known and after', async () => {
    const { tap, send } = session(VIDEO)
    const { promise, resolve } = Promise.withResolvers<Closed>()
    const opening = tap.open(1000, promise, context)
    for (const packet of frame(0, 0, KEY)) send(0, packet)
    const source = await opening
    resolve({ why: 'ended' })
    expect(await source.closed).toEqual({ why: 'ended' })
    expect(await take(source.packets, 5)).toHaveLength(1)
    const early = session(VIDEO).tap.open(1000, Promise.resolve<Closed>({ why: 'ended' }), context)
    await expect(early).rejects.toMatchObject({ code: 'peer-failed' })
    await expect(session(VIDEO).tap.open(20, never, context)).rejects.toMatchObject({ code: 'timeout' })
  })

  it('loses what nobody takes, and goes on at a keyframe', async () => {
    const { tap, send } = session(VIDEO)
    const opening = tap.open(1000, never, context)
    let sequence = 0
    const write = (data: Uint8Array, timestamp: number) => {
      const packets = frame(sequence, timestamp, data)
      sequence += packets.length
      for (const packet of packets) send(0, packet)
    }
    write(KEY, 0)
    const source = await opening
    for (let n = 1; n < 6000; n++) write(DELTA, n * 3000)
    write(KEY, 6000 * 3000)
    const [first] = await take(source.packets, 1)
    expect([first?.key, first!.pts]).toEqual([true, expect.any(Number)])
    expect(source.stats().lost).toBeGreaterThan(4000)
  })
})
