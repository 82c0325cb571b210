// Sorts a publisher's packets into streams: by payload type, SSRC and, for layers and retransmissions, by name (RFC
// 8852).

import type { OrderedPacket } from '../../codec/rtp/packet.ts'
import { extensionElement, type RtpPacket } from '../../codec/rtp/packet.ts'
import { PublisherClock } from '../../codec/rtp/publisher-clock.ts'
import type { RtcpMessage } from '../../codec/rtp/rtcp.ts'
import { RtpReceiver } from '../rtp/receiver.ts'
import type { AgreedCodec } from '../signalling/codec-choice.ts'
import { type AgreedMedia, type Agreement, EXTENSIONS } from '../signalling/negotiate.ts'

export type PublisherStreamsOptions = {
  agreement: Agreement
  localSsrc: number
  sendRtcp(message: Buffer): void
  /** A video stream begins; its packets follow. */
  onVideoStream(ssrc: number, receiver: RtpReceiver, codec: AgreedCodec): void
  onVideoStreamEnd(ssrc: number): void
  onVideo(ssrc: number, packets: OrderedPacket[]): void
  onAudio(receiver: RtpReceiver, packets: OrderedPacket[]): void
}

/** Four layers, and one change of each. */
const MAX_STREAMS = 8

type Stream = { media: AgreedMedia; codec: AgreedCodec; receiver: RtpReceiver; name: string | undefined }

export class PublisherStreams {
  readonly #options: PublisherStreamsOptions
  readonly #clock = new PublisherClock()
  readonly #streams = new Map<number, Stream>()
  /** SSRC of each retransmission stream to that of its media stream. */
  readonly #repairs: Map<number, number>
  #bytes = 0
  #lost = 0

  constructor(options: PublisherStreamsOptions) {
    this.#options = options
    this.#repairs = new Map(options.agreement.media.flatMap(({ repairs }) => [...repairs]))
  }

  get receivers(): RtpReceiver[] {
    return [...this.#streams.values()].map(({ receiver }) => receiver)
  }

  /** True once any packet came. */
  get heard(): boolean {
    return this.#streams.size > 0
  }

  stats(): { bytes: number; lost: number } {
    return this.receivers.reduce((sum, one) => ({ bytes: sum.bytes + one.bytes, lost: sum.lost + one.lost }), {
      bytes: this.#bytes,
      lost: this.#lost,
    })
  }

  push(packet: RtpPacket): void {
    const { media, only } = this.#options.agreement
    if (only && !only.has(packet.ssrc)) return
    for (const one of media) {
      for (const codec of one.codecs) {
        if (codec.payloadType === packet.payloadType) this.#stream(one, codec, packet).receiver.push(packet, false)
        else if (codec.retransmission === packet.payloadType) this.#repair(one, codec, packet)
      }
    }
  }

  reported(report: Extract<RtcpMessage, { kind: 'sender-report' }>): void {
    this.#streams.get(report.ssrc)?.receiver.reported(report)
  }

  close(): void {
    for (const receiver of this.receivers) receiver.close()
  }

  #stream(media: AgreedMedia, codec: AgreedCodec, packet: RtpPacket): Stream {
    const known = this.#streams.get(packet.ssrc)
    if (known && known.codec === codec) {
      known.name ??= text(packet, media, EXTENSIONS.streamId)
      return known
    }
    if (known) this.#forget(packet.ssrc, known)
    const stream = this.#open(media, codec, packet)
    this.#streams.set(packet.ssrc, stream)
    if (this.#streams.size > MAX_STREAMS) {
      const [ssrc, silent] = [...this.#streams].reduce((a, b) =>
        b[1].receiver.newestAt < a[1].receiver.newestAt && b[1] !== stream ? b : a,
      )
      this.#forget(ssrc, silent)
    }
    if (media.kind === 'video') this.#options.onVideoStream(packet.ssrc, stream.receiver, codec)
    return stream
  }

  #open(media: AgreedMedia, codec: AgreedCodec, packet: RtpPacket): Stream {
    const { sendRtcp, localSsrc, onVideo, onAudio } = this.#options
    const { ssrc } = packet
    const isVideo = media.kind === 'video'
    const receiver: RtpReceiver = new RtpReceiver({
      ssrc,
      clockRate: codec.clockRate,
      clock: this.#clock.stream(codec.clockRate, isVideo),
      repairs: codec.feedback.includes('nack'),
      localSsrc,
      sendRtcp,
      onPackets: (packets) => (isVideo ? onVideo(ssrc, packets) : onAudio(receiver, packets)),
    })
    return { media, codec, receiver, name: text(packet, media, EXTENSIONS.streamId) }
  }

  #forget(ssrc: number, stream: Stream): void {
    stream.receiver.close()
    this.#bytes += stream.receiver.bytes
    this.#lost += stream.receiver.lost
    this.#streams.delete(ssrc)
    if (stream.media.kind === 'video') this.#options.onVideoStreamEnd(ssrc)
  }

  /** RFC 4588 §4: the first two bytes are the sequence number of the retransmitted packet. */
  #repair(media: AgreedMedia, { payloadType }: AgreedCodec, packet: RtpPacket): void {
    if (packet.payload.length < 3) return
    const target = this.#repairedStream(media, packet)
    if (!target) return
    const [ssrc, stream] = target
    const sequence = (packet.payload[0]! << 8) | packet.payload[1]!
    stream.receiver.push({ ...packet, ssrc, payloadType, sequence, payload: packet.payload.subarray(2) }, true)
  }

  #repairedStream(media: AgreedMedia, packet: RtpPacket): [number, Stream] | undefined {
    const known = this.#repairs.get(packet.ssrc)
    const stream = known === undefined ? undefined : this.#streams.get(known)
    if (known !== undefined && stream) return [known, stream]
    const name = text(packet, media, EXTENSIONS.repairedStreamId)
    const candidates = [...this.#streams].filter(([, one]) => one.media === media && (!name || one.name === name))
    const found = candidates.length === 1 ? candidates[0] : undefined
    if (found && this.#repairs.size < 2 * MAX_STREAMS) this.#repairs.set(packet.ssrc, found[0])
    return found
  }
}

function text(packet: RtpPacket, media: AgreedMedia, uri: string): string | undefined {
  const id = media.extensions.get(uri)?.id
  const data = id === undefined ? undefined : extensionElement(packet, id)
  return data && Buffer.from(data).toString('latin1')
}
