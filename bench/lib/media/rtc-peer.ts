// WebRTC peers made of werift, for both sides of WHIP and WHEP.
import {
  GenericNack,
  MediaStreamTrack,
  RTCPeerConnection,
  RTCRtpCodecParameters,
  RtcpTransportLayerFeedback,
  RtpHeader,
  RtpPacket,
  StunProtocol,
} from 'werift'
import { packetizeH264 } from '../../../src/codec/rtp/h264.ts'
import { nowMs } from '../../../src/core/clock.ts'
import type { EncodedPacket } from '../../../src/core/media/packet.ts'
import { steadyHandshake } from '../../../test/helpers/media/werift-handshake.ts'
import { http } from '../../../test/helpers/server/http.ts'
import { waitFor } from '../../../test/helpers/wait.ts'

/** A peer connection for H.264 alone. */
export function h264Peer(): RTCPeerConnection {
  const video = new RTCRtpCodecParameters({
    mimeType: 'video/H264',
    clockRate: 90_000,
    payloadType: 102,
    rtcpFeedback: [{ type: 'nack' }, { type: 'nack', parameter: 'pli' }],
    parameters: 'level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f',
  })
  return new RTCPeerConnection({ iceServers: [], codecs: { video: [video], audio: [] } })
}

async function exchange(peer: RTCPeerConnection, url: string): Promise<void> {
  await peer.setLocalDescription(await peer.createOffer())
  steadyHandshake(peer)
  const headers = { 'content-type': 'application/sdp' }
  const { status, text } = await http('POST', url, { headers, body: peer.localDescription!.sdp })
  if (status !== 201) throw new Error(`${url} answered ${status}: ${text}`)
  await peer.setRemoteDescription({ type: 'answer', sdp: text })
}

/** A failed peer is closed: otherwise it could connect later, and stay. */
async function connect(peer: RTCPeerConnection, url: string): Promise<void> {
  try {
    await exchange(peer, url)
    await waitFor('the WebRTC connection', () => peer.connectionState === 'connected', { everyMs: 5 })
  } catch (thrown) {
    await peer.close()
    throw thrown
  }
}

const PAYLOAD_BYTES = 1150

/** Publishes access units over WHIP. */
export class RtcPublisher implements AsyncDisposable {
  readonly #peer = h264Peer()
  readonly #track = new MediaStreamTrack({ kind: 'video' })
  readonly #sender = this.#peer.addTransceiver(this.#track, { direction: 'sendonly' }).sender
  #sequence = 0
  #written = Promise.resolve(0)

  static async open(url: string): Promise<RtcPublisher> {
    const publisher = new RtcPublisher()
    await connect(publisher.#peer, url)
    return publisher
  }

  /** Resolves with the time at which the last packet was given to the system; frames are sent one after the other. */
  write(packet: EncodedPacket): Promise<number> {
    this.#written = this.#written.then(() => this.#send(packet))
    return this.#written
  }

  async #send({ data, pts }: EncodedPacket): Promise<number> {
    const payloads = packetizeH264(data, PAYLOAD_BYTES)
    for (const [i, payload] of payloads.entries()) {
      const header = new RtpHeader({
        version: 2,
        payloadType: 102,
        sequenceNumber: this.#sequence,
        timestamp: pts % 2 ** 32,
        marker: i === payloads.length - 1,
      })
      this.#sequence = (this.#sequence + 1) & 0xffff
      await this.#sender.sendRtp(new RtpPacket(header, Buffer.from(payload)))
    }
    return nowMs()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#peer.close()
  }
}

/**
 * The system grants at most `net.core.rmem_max`, which is often less. That still holds a quarter of a second of video;
 * a viewer late to its own socket would count as lost what the server did send.
 */
const RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024

/** What a viewer can read of a packet without its key. */
export type SeenPacket = {
  timestamp: number
  sequence: number
  ssrc: number
  marker: boolean
  bytes: number
  at: number
}

/**
 * Watches over WHEP. werift makes the connection; media is inspected as it arrives at the socket and not decrypted, so
 * that many viewers cost little and the arrival times are exact.
 */
export class RtcViewer implements AsyncDisposable {
  readonly #peer = h264Peer()

  static async open(url: string, onPacket: (packet: SeenPacket) => void): Promise<RtcViewer> {
    const viewer = new RtcViewer()
    viewer.#peer.addTransceiver('video', { direction: 'recvonly' })
    await connect(viewer.#peer, url)
    const { onData, candidatePairs } = viewer.#peer.iceTransports[0]!.connection
    for (const { protocol } of candidatePairs) {
      if (protocol instanceof StunProtocol) protocol.transport.socket.setRecvBufferSize(RECEIVE_BUFFER_BYTES)
    }
    onData.allUnsubscribe()
    onData.subscribe((data) => {
      const seen = readHeader(data)
      if (seen) onPacket(seen)
    })
    return viewer
  }

  /** Requests retransmissions. */
  async nack(ssrc: number, lost: number[]): Promise<void> {
    const feedback = new GenericNack({ senderSsrc: 1, mediaSourceSsrc: ssrc, lost })
    await this.#peer.dtlsTransports[0]!.sendRtcp([new RtcpTransportLayerFeedback({ feedback })])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#peer.close()
  }
}

/** RTP only (RFC 3550 §5.1): neither DTLS nor RTCP, whose types are 192 to 223 (RFC 5761 §4). */
function readHeader(data: Buffer): SeenPacket | undefined {
  const type = data[1] ?? 0
  if (data.length < 12 || data[0]! >> 6 !== 2 || (type >= 192 && type <= 223)) return undefined
  return {
    timestamp: data.readUInt32BE(4),
    sequence: data.readUInt16BE(2),
    ssrc: data.readUInt32BE(8),
    marker: type >= 128,
    bytes: data.length,
    at: nowMs(),
  }
}
