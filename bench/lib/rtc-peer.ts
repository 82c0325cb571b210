// WebRTC peers made of werift, for both sides of WHIP and WHEP.
import { MediaStreamTrack, RTCPeerConnection, RTCRtpCodecParameters, RtpHeader, RtpPacket, StunProtocol } from 'werift'
import { packetizeH264 } from '../../src/codec/rtp/h264.ts'
import { nowMs } from '../../src/core/clock.ts'
import type { EncodedPacket } from '../../src/core/media/packet.ts'
import { http } from '../../test/helpers/http.ts'
import { waitFor } from '../../test/helpers/wait.ts'

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
  const headers = { 'content-type': 'application/sdp' }
  const { status, text } = await http('POST', url, { headers, body: peer.localDescription!.sdp })
  if (status !== 201) throw new Error(`${url} answered ${status}: ${text}`)
  await peer.setRemoteDescription({ type: 'answer', sdp: text })
}

async function connected(peer: RTCPeerConnection): Promise<void> {
  await waitFor('the WebRTC connection', () => peer.connectionState === 'connected', { everyMs: 5 })
}

const PAYLOAD_BYTES = 1150

/** Publishes access units by WHIP. */
export class RtcPublisher implements AsyncDisposable {
  readonly #peer = h264Peer()
  readonly #track = new MediaStreamTrack({ kind: 'video' })
  readonly #sender = this.#peer.addTransceiver(this.#track, { direction: 'sendonly' }).sender
  #sequence = 0
  #written = Promise.resolve(0)

  static async open(url: string): Promise<RtcPublisher> {
    const publisher = new RtcPublisher()
    await exchange(publisher.#peer, url)
    await connected(publisher.#peer)
    return publisher
  }

  /** Resolves with the time at which the last packet had been given to the system; frames go out one after the other. */
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
 * The system grants at most `net.core.rmem_max`, which is often less. What it grants anyway holds a quarter of a second
 * of video, and a viewer that came late to its own socket would count as lost what the server did send.
 */
const RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024

/** What a viewer can tell of a packet without its key. */
export type SeenPacket = { timestamp: number; sequence: number; marker: boolean; bytes: number; at: number }

/**
 * Watches by WHEP. The connection is werift's; media is looked at as it comes from the socket and not decrypted, so that
 * many viewers cost little and the time of arrival is exact.
 */
export class RtcViewer implements AsyncDisposable {
  readonly #peer = h264Peer()

  static async open(url: string, onPacket: (packet: SeenPacket) => void): Promise<RtcViewer> {
    const viewer = new RtcViewer()
    viewer.#peer.addTransceiver('video', { direction: 'recvonly' })
    await exchange(viewer.#peer, url)
    await connected(viewer.#peer)
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

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#peer.close()
  }
}

/** RTP alone (RFC 3550 §5.1): not DTLS, nor RTCP, whose types are 192 to 223 (RFC 5761 §4). */
function readHeader(data: Buffer): SeenPacket | undefined {
  const type = data[1] ?? 0
  if (data.length < 12 || data[0]! >> 6 !== 2 || (type >= 192 && type <= 223)) return undefined
  return {
    timestamp: data.readUInt32BE(4),
    sequence: data.readUInt16BE(2),
    marker: type >= 128,
    bytes: data.length,
    at: nowMs(),
  }
}
