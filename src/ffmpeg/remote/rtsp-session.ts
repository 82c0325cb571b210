// RFC 2326: the media that a client has set up, from its requests and the server's responses.
// Bound: 16 requests are remembered, and as many tracks as the description has sections; a description is bounded by `parseSdp`.
import type { RtspHead } from '../../codec/rtsp.ts'
import { type RtpCodec, rtpCodecs } from '../../codec/sdp/media.ts'
import { attribute, parseSdp, type SdpMedia } from '../../codec/sdp/session.ts'

/** One medium that was set up over the RTSP connection itself. */
export type RtspTrack = {
  kind: string
  /** The first codec of its section, which servers send; undefined for a static payload type. */
  codec: RtpCodec | undefined
  /** The channels of its packets and of their reports (§10.12). */
  channels: { rtp: number; rtcp: number | undefined }
  /** RTP time stamp of the start, according to the server (§12.33). */
  begins?: number
}

const MAX_REQUESTS = 16
const REQUEST = /^([A-Z_]+) (\S+) RTSP\/1\.\d\r\n(?:[^\r\n]+\r\n)*?CSeq: *(\d+)\r\n/i

export class RtspSession {
  /** The media set up so far; complete once `playing`. */
  readonly tracks: RtspTrack[] = []
  playing = false
  readonly #requests = new Map<number, { method: string; url: string }>()
  readonly #sections = new Map<RtspTrack, SdpMedia>()
  #media: SdpMedia[] = []
  #describes = false

  /** Takes a request of the client. */
  request(text: string): void {
    const [, method = '', url = '', cseq] = REQUEST.exec(text) ?? []
    if (cseq === undefined) return
    this.#requests.set(Number(cseq), { method: method.toUpperCase(), url })
    if (this.#requests.size > MAX_REQUESTS) this.#requests.delete(this.#requests.keys().next().value!)
  }

  response({ status, lines }: RtspHead): void {
    const header = (name: string) =>
      lines.find((line) => line.toLowerCase().startsWith(`${name}:`))?.slice(name.length + 1)
    const request = this.#requests.get(Number(header('cseq')))
    this.#describes = request?.method === 'DESCRIBE' && status === 200
    if (!request || status !== 200) return
    if (request.method === 'SETUP') this.#setUp(request.url, header('transport') ?? '')
    else if (request.method === 'PLAY') {
      this.#begin(header('rtp-info') ?? '')
      this.playing = true
    }
  }

  /** @throws AppError `invalid-request` for an invalid session description. */
  body(body: Buffer): void {
    if (this.#describes) this.#media = parseSdp(body.toString('latin1')).media
  }

  #setUp(url: string, transport: string): void {
    const section = this.#section(url)
    const [, rtp, rtcp] = /;\s*interleaved=(\d+)(?:-(\d+))?/i.exec(transport) ?? []
    if (!section || rtp === undefined || this.tracks.length >= this.#media.length) return
    const channels = { rtp: Number(rtp), rtcp: rtcp === undefined ? undefined : Number(rtcp) }
    const track = { kind: section.kind, codec: rtpCodecs(section)[0], channels }
    this.tracks.push(track)
    this.#sections.set(track, section)
  }

  #begin(info: string): void {
    for (const part of info.split(',').slice(0, this.tracks.length)) {
      const url = /url="?([^;"]+)/i.exec(part)?.[1]
      const time = /;\s*rtptime=(\d+)/i.exec(part)?.[1]
      const section = url === undefined ? undefined : this.#section(url.trim())
      const track = this.tracks.find((one) => this.#sections.get(one) === section)
      if (track && section && time !== undefined) track.begins = Number(time)
    }
  }

  /** A control is a whole URL, or relative to that of the description (appendix C.1.1). */
  #section(url: string): SdpMedia | undefined {
    const fits = (control: string) => url === control || url.endsWith(`/${control}`)
    const named = this.#media.filter((media) => fits(attribute(media, 'control') ?? '\n'))
    return named.length > 0 ? named[0] : this.#media.length === 1 ? this.#media[0] : undefined
  }
}
