// A WHEP viewer built on the peer connection of werift.
import { RTCPeerConnection, RTCRtpCodecParameters, type RtpPacket, useAbsSendTime } from 'werift'
import { H264Assembler } from '../../../../src/codec/rtp/h264.ts'
import { Vp8Assembler } from '../../../../src/codec/rtp/vp8.ts'
import { steadyHandshake } from '../../../helpers/media/werift-handshake.ts'

export type ReceivedUnit = { timestamp: number; data: Uint8Array }

export class WeriftViewer {
  readonly peer: RTCPeerConnection
  readonly videoPackets: RtpPacket[] = []
  readonly audioPackets: RtpPacket[] = []
  readonly units: ReceivedUnit[] = []
  /** Packets to lose: called for each video packet before it is processed. */
  lose: (packet: RtpPacket) => boolean = () => false
  readonly #assembler: H264Assembler | Vp8Assembler

  /** A viewer that supports only that codec. */
  constructor(rtx = false, codec: 'H264' | 'VP8' = 'H264') {
    this.#assembler = codec === 'VP8' ? new Vp8Assembler() : new H264Assembler()
    const nack = [{ type: 'nack' }, { type: 'nack', parameter: 'pli' }, { type: 'goog-remb' }]
    const video = new RTCRtpCodecParameters({
      mimeType: `video/${codec}`,
      clockRate: 90000,
      payloadType: 102,
      rtcpFeedback: nack,
      ...(codec === 'H264' && {
        parameters: 'level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f',
      }),
    })
    const repair = new RTCRtpCodecParameters({
      mimeType: 'video/rtx',
      clockRate: 90000,
      payloadType: 103,
      parameters: 'apt=102',
    })
    this.peer = new RTCPeerConnection({
      iceServers: [],
      codecs: {
        video: rtx ? [video, repair] : [video],
        audio: [new RTCRtpCodecParameters({ mimeType: 'audio/opus', clockRate: 48000, channels: 2, payloadType: 111 })],
      },
      headerExtensions: { video: [useAbsSendTime()], audio: [] },
    })
    this.peer.onRemoteTransceiverAdded.subscribe(() => {})
    this.peer.onTrack.subscribe((track) => {
      track.onReceiveRtp.subscribe((packet) => {
        if (track.kind === 'audio') this.audioPackets.push(packet)
        else if (!this.lose(packet)) this.#video(packet)
      })
    })
  }

  async offer(): Promise<string> {
    this.peer.addTransceiver('video', { direction: 'recvonly' })
    this.peer.addTransceiver('audio', { direction: 'recvonly' })
    await this.peer.setLocalDescription(await this.peer.createOffer())
    steadyHandshake(this.peer)
    return this.peer.localDescription!.sdp
  }

  async accept(answer: string): Promise<void> {
    await this.peer.setRemoteDescription({ type: 'answer', sdp: answer })
  }

  #video(packet: RtpPacket): void {
    this.videoPackets.push(packet)
    if (packet.payload.length === 0) return
    this.#assembler.push(packet.payload)
    if (!packet.header.marker) return
    const data = this.#assembler.take()
    if (data) this.units.push({ timestamp: packet.header.timestamp, data })
  }
}
