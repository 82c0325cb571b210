import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, expect, test } from 'vitest'
import { MediaStreamTrack, RTCPeerConnection, RTCRtpCodecParameters, RtpHeader, RtpPacket } from 'werift'
import type { EncodedPacket, VideoCodec, VideoTrack } from '../../../src/core/media/packet.ts'
import { openVideoDecoder } from '../../../src/ffmpeg/decoder/decoder.ts'
import { openWhipSession, type WhipSession } from '../../../src/webrtc/whip/whip.ts'
import { steadyHandshake } from '../../helpers/media/werift-handshake.ts'
import { LogCollector } from '../../helpers/server/logs.ts'
import { waitFor } from '../../helpers/wait.ts'
import { encodeClip, numbered, numberOf, quiet, range, testFfmpeg } from '../ffmpeg/clips.ts'
import { packetizeAv1, packetizeH265 } from './support/packetize.ts'
import { ICE } from './support/server.ts'

let session: WhipSession | undefined
let peer: RTCPeerConnection | undefined
afterEach(async () => {
  await session?.close()
  await peer?.close()
})

const FRAMES = 30
type Case = [string, VideoCodec, string[], (unit: Uint8Array) => Uint8Array[]]

test.each<Case>([
  ['H265', 'hevc', ['-x265-params', 'log-level=0:qp=18:bframes=0:keyint=12'], packetizeH265],
  ['AV1', 'av1', ['-g', '12'], packetizeAv1],
])('a publisher that offers %s only is accepted, and its frames are decoded', async (name, codec, args, packetize) => {
  const clip = await encodeClip(
    range(FRAMES).map((i) => numbered(i, i * 3000)),
    codec,
    args,
  )
  const rtcpFeedback = [{ type: 'nack' }, { type: 'nack', parameter: 'pli' }]
  const offered = { mimeType: `video/${name}`, clockRate: 90_000, payloadType: 96, rtcpFeedback }
  peer = new RTCPeerConnection({ iceServers: [], codecs: { video: [new RTCRtpCodecParameters(offered)], audio: [] } })
  const media = new MediaStreamTrack({ kind: 'video' })
  peer.addTransceiver(media, { direction: 'sendonly' })
  await peer.setLocalDescription(await peer.createOffer())
  steadyHandshake(peer)
  session = await openWhipSession({ offer: peer.localDescription!.sdp, ice: ICE }, { log: new LogCollector().log })
  expect(session.answer).toContain(`a=rtpmap:96 ${name}/90000`)
  await peer.setRemoteDescription({ type: 'answer', sdp: session.answer })
  await session.connected
  await waitFor('the publisher', () => peer!.connectionState === 'connected')
  let sequenceNumber = 65_500
  for (const { data, pts } of clip.packets) {
    const payloads = packetize(data)
    for (const [i, payload] of payloads.entries()) {
      const marker = i === payloads.length - 1
      const header = new RtpHeader({ payloadType: 96, sequenceNumber, timestamp: pts, marker, ssrc: 1 })
      media.writeRtp(new RtpPacket(header, Buffer.from(payload)))
      sequenceNumber = (sequenceNumber + 1) & 0xffff
    }
    await sleep(10)
  }
  const source = await session.source
  const { width, height } = clip.track
  expect(source.tracks).toEqual([{ id: 'video', kind: 'video', codec, width, height }])
  const packets: EncodedPacket[] = []
  for await (const packet of source.packets) {
    packets.push(packet)
    if (packets.length === FRAMES) break
  }
  expect(packets.map(({ key }) => key)).toEqual(clip.packets.map(({ key }) => key))
  expect(packets.filter(({ key }) => key).length).toBeGreaterThan(1)
  const numbers: (number | undefined)[] = []
  const decoder = await openVideoDecoder(
    {
      ffmpeg: await testFfmpeg(),
      track: source.tracks[0] as VideoTrack,
      format: 'yuv420p',
      onFrame: (frame) => numbers.push(numberOf(frame)),
    },
    { log: quiet },
  )
  for (const packet of packets) decoder.write(packet)
  decoder.end()
  await decoder.closed
  expect(numbers).toEqual(range(FRAMES))
})
