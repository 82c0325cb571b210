import { api, send } from '../api.js'
import { endSession, exchangeSdp } from './sdp-exchange.js'

const MAX_BITRATE = 2_500_000
const CONNECT_MS = 10_000

/** Media from this computer. @returns {Promise<MediaStream>} */
export function openMedia(kind) {
  if (!navigator.mediaDevices) {
    throw new Error(
      'browsers give cameras and screens only to pages on https:// or localhost: open this page there, or use the test picture',
    )
  }
  const video = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30, max: 60 } }
  return kind === 'screen'
    ? navigator.mediaDevices.getDisplayMedia({ video: { frameRate: { ideal: 30 } }, audio: true })
    : navigator.mediaDevices
        .getUserMedia({ video, audio: true })
        // A camera without microphone is still worth having.
        .catch((error) =>
          error.name === 'NotFoundError' ? navigator.mediaDevices.getUserMedia({ video }) : Promise.reject(error),
        )
}

/** True when this server takes WHIP. */
export async function takesWhip() {
  return await send('OPTIONS', api.whipPath('demo'), { quiet: true }).then(
    () => true,
    (error) => ![404, 405].includes(error.status),
  )
}

/** Publishes a media stream over WHIP until closed. Tells `ended` when it is over, with `detail.error` if something broke. */
export class WhipPublisher extends EventTarget {
  media
  #peer = new RTCPeerConnection()
  #session
  #over = false

  constructor(media) {
    super()
    this.media = media
    addEventListener('pagehide', this.#leave)
    // The browser's own “stop sharing” button.
    for (const track of media.getTracks()) track.addEventListener('ended', () => this.#end())
  }

  /** Resolves when media flows; after a failure everything is closed. */
  async start(name, pipeline) {
    const peer = this.#peer
    for (const track of this.media.getTracks()) {
      if (track.kind === 'video') track.contentHint = 'motion'
      const sendEncodings = track.kind === 'video' ? [{ maxBitrate: MAX_BITRATE }] : undefined
      const init = { direction: 'sendonly', streams: [this.media], ...(sendEncodings && { sendEncodings }) }
      const transceiver = peer.addTransceiver(track, init)
      if (track.kind === 'video') preferH264(transceiver)
      if (track.kind === 'video') await keepSize(transceiver.sender)
    }
    try {
      this.#session = await exchangeSdp(peer, api.whipPath(name, pipeline))
      await connected(peer)
    } catch (error) {
      this.close()
      throw error
    }
    peer.addEventListener('connectionstatechange', () => {
      if (peer.connectionState === 'failed') this.#end(new Error('the connection to the server was lost'))
    })
  }

  close() {
    this.#end()
  }

  #end(error) {
    if (this.#over) return
    this.#over = true
    removeEventListener('pagehide', this.#leave)
    for (const track of this.media.getTracks()) track.stop()
    this.#peer.close()
    endSession(this.#session)
    this.dispatchEvent(new CustomEvent('ended', { detail: { error } }))
  }

  #leave = () => endSession(this.#session)
}

/** A model and its viewers are better off with fewer pictures than with ones whose size changes again and again. */
async function keepSize(sender) {
  const parameters = sender.getParameters()
  parameters.degradationPreference = 'maintain-resolution'
  await sender.setParameters(parameters).catch(() => {})
}

function preferH264(transceiver) {
  const codecs = RTCRtpSender.getCapabilities('video')?.codecs ?? []
  const isH264 = (codec) => codec.mimeType.toLowerCase() === 'video/h264'
  if (codecs.some(isH264)) {
    transceiver.setCodecPreferences?.([...codecs.filter(isH264), ...codecs.filter((codec) => !isH264(codec))])
  }
}

function connected(peer) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new Error('no connection to the server’s UDP ports: a firewall may be in between')),
      CONNECT_MS,
    )
    const look = () => {
      if (peer.connectionState === 'connected') resolve()
      else if (peer.connectionState === 'failed') reject(new Error('the connection to the server failed'))
      else return
      clearTimeout(timer)
    }
    peer.addEventListener('connectionstatechange', look)
    look()
  })
}
