// One WHIP session of the stand-in: werift's peer connection in LiveKit's role.
import { MediaStreamTrack, RTCPeerConnection, RTCRtpCodecParameters, type RTCRtpTransceiver } from 'werift'

const FEEDBACK = [{ type: 'nack' }, { type: 'nack', parameter: 'pli' }]
/** Time without packets after which LiveKit considers a participant gone. */
const GIVE_UP_MS = 10_000
const H264 = 'level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f'

/** A track forwarded from another session. */
export type Forwarded = {
  sid: string
  publisher: string
  kind: 'audio' | 'video'
  source: MediaStreamTrack
  needKeyframe(): void
}

export class Session {
  readonly peer = new RTCPeerConnection({
    iceServers: [],
    codecs: {
      video: [
        new RTCRtpCodecParameters({
          ...{ mimeType: 'video/H264', clockRate: 90_000, payloadType: 102, rtcpFeedback: FEEDBACK, parameters: H264 },
        }),
      ],
      audio: [new RTCRtpCodecParameters({ mimeType: 'audio/opus', clockRate: 48_000, channels: 2, payloadType: 111 })],
    },
  })
  /** Called with the first packet of a kind of media. */
  onMedia: (kind: 'audio' | 'video', track: MediaStreamTrack, needKeyframe: () => void) => void = () => {}
  onData: (message: string) => void = () => {}
  onClosed: () => void = () => {}
  keyframesAsked = 0
  readonly #sending = new Map<string, () => void>()

  constructor() {
    this.peer.onTrack.subscribe((track) => {
      const ask = () => {
        const receiver = this.peer.getTransceivers().find((one) => one.receiver.tracks.includes(track))?.receiver
        this.keyframesAsked++
        if (track.ssrc) void receiver?.sendRtcpPLI(track.ssrc).catch(() => {})
      }
      track.onReceiveRtp.once(() => this.onMedia(track.kind as 'audio' | 'video', track, ask))
    })
    this.peer.onDataChannel.subscribe((channel) =>
      channel.onMessage.subscribe((message) => this.onData(String(message))),
    )
    this.peer.connectionStateChange.subscribe((state) => {
      if (state === 'closed' || state === 'failed') this.onClosed()
      // It may return soon; LiveKit gives up even later.
      else if (state === 'disconnected') setTimeout(() => this.#giveUp(), GIVE_UP_MS).unref()
    })
  }

  async offered(sdp: string): Promise<void> {
    await this.peer.setRemoteDescription({ type: 'offer', sdp })
  }

  /**
   * The answer, with these tracks in the offer's sections for them, in order; tracks without a section are left out.
   */
  async answer(tracks: readonly Forwarded[]): Promise<string> {
    const placed = new Map<string, Forwarded>()
    for (const track of tracks) {
      // The transceiver's own direction: it may send where the offer receives.
      const transceiver = this.peer.getTransceivers().find(({ kind, offerDirection, mid }) => {
        return kind === track.kind && offerDirection === 'sendonly' && !placed.has(String(mid))
      })
      if (!transceiver) continue
      placed.set(String(transceiver.mid), track)
      await this.#send(transceiver, track)
    }
    await this.peer.setLocalDescription(await this.peer.createAnswer())
    return withNames(this.peer.localDescription!.sdp, placed)
  }

  #giveUp(): void {
    if (this.peer.connectionState === 'disconnected') this.onClosed()
  }

  /** Stops sending these tracks. */
  stop(sids: readonly string[]): void {
    for (const sid of sids) this.#sending.get(sid)?.()
    for (const sid of sids) this.#sending.delete(sid)
  }

  get sending(): string[] {
    return [...this.#sending.keys()]
  }

  async #send(transceiver: RTCRtpTransceiver, { sid, kind, source, needKeyframe }: Forwarded): Promise<void> {
    const sent = new MediaStreamTrack({ kind })
    await transceiver.sender.replaceTrack(sent)
    transceiver.setDirection('sendonly')
    const forwarding = source.onReceiveRtp.subscribe((packet) => sent.writeRtp(packet.clone()))
    this.#sending.set(sid, forwarding.unSubscribe)
    this.peer.connectionStateChange.subscribe((state) => {
      if (state === 'connected') needKeyframe()
    })
    transceiver.sender.onPictureLossIndication.subscribe(() => needKeyframe())
  }

  async close(): Promise<void> {
    this.stop(this.sending)
    await this.peer.close()
  }
}

/** Names in LiveKit's form: the participant's SID and the track's. */
function withNames(sdp: string, placed: ReadonlyMap<string, Forwarded>): string {
  const [head = '', ...sections] = sdp.split(/^(?=m=)/m)
  const named = sections.map((section) => {
    const track = placed.get(/^a=mid:(\S+)/m.exec(section)?.[1] ?? '')
    const bare = section.replace(/^a=msid:.*\r?\n/gm, '')
    return track ? `${bare}a=msid:${track.publisher}|${track.sid} ${track.sid}\r\n` : bare
  })
  return head + named.join('')
}
