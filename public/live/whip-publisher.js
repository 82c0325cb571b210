import { ApiError, api, send, Unreachable } from '../api.js'
import { endSession, exchangeSdp } from './sdp-exchange.js'

const MAX_BITRATE = 2_500_000
const CONNECT_MS = 10_000
const FIRST_RETRY_MS = 1000
const LAST_RETRY_MS = 4000
/** ICE says `disconnected` for short gaps that heal by themselves. */
const HEAL_MS = 3000
/** A request that was too early, a server that is full or starts anew. */
const PASSING = [408, 409, 429, 502, 503, 504]

/** True when this server takes WHIP. */
export async function takesWhip() {
  return await send('OPTIONS', api.whipPath('demo'), { quiet: true, ask: false }).then(
    () => true,
    (error) => ![404, 405].includes(error.status),
  )
}

/**
 * Publishes a media stream over WHIP until closed; a connection that is lost is made again, with growing pauses. Tells
 * `state` (`publishing`, `waiting`), and `ended` when it is over, with `detail.error` if something broke.
 */
export class WhipPublisher extends EventTarget {
  media
  /** `starting`, `publishing`, or `waiting` for its connection to come back. */
  state = 'starting'
  #name
  #pipeline
  #peer
  #session
  #over = false
  #retryMs = FIRST_RETRY_MS
  #timer
  #trying = false
  /** The server said goodbye, as it does when somebody stops the stream. */
  #dismissed = false

  constructor(media) {
    super()
    this.media = media
    addEventListener('pagehide', this.#leave)
    // The browser's own “stop sharing” button.
    for (const track of media.getTracks()) track.addEventListener('ended', () => this.#end())
  }

  /** Resolves when media flows; after a failure everything is closed. */
  async start(name, pipeline) {
    this.#name = name
    this.#pipeline = pipeline
    try {
      await this.#connect()
    } catch (error) {
      this.close()
      throw error
    }
  }

  /** Connects now instead of after the pause. */
  retry() {
    if (this.state !== 'waiting' || this.#trying) return
    this.#retryMs = FIRST_RETRY_MS
    void this.#again()
  }

  close() {
    this.#end()
  }

  async #connect() {
    const peer = new RTCPeerConnection()
    this.#peer = peer
    for (const track of this.media.getTracks()) {
      if (track.kind === 'video') track.contentHint = 'motion'
      const sendEncodings = track.kind === 'video' ? [{ maxBitrate: MAX_BITRATE }] : undefined
      const init = { direction: 'sendonly', streams: [this.media], ...(sendEncodings && { sendEncodings }) }
      const transceiver = peer.addTransceiver(track, init)
      if (track.kind === 'video') preferH264(transceiver)
      if (track.kind === 'video') await keepSize(transceiver.sender)
    }
    const session = await exchangeSdp(peer, api.whipPath(this.#name, this.#pipeline))
    if (this.#peer !== peer) return endSession(session)
    this.#session = session
    await connected(peer)
    if (this.#peer !== peer) return
    this.#retryMs = FIRST_RETRY_MS
    this.#dismissed = false
    peer.addEventListener('connectionstatechange', () => this.#follow(peer))
    peer.getSenders()[0]?.transport?.addEventListener('statechange', () => this.#follow(peer))
    this.#tell('publishing')
  }

  #follow(peer) {
    if (this.#peer !== peer) return
    clearTimeout(this.#timer)
    this.#dismissed = peer.getSenders()[0]?.transport?.state === 'closed'
    if (this.#dismissed || peer.connectionState === 'failed') this.#lost()
    else if (peer.connectionState === 'disconnected') this.#timer = setTimeout(() => this.#lost(), HEAL_MS)
  }

  #lost() {
    if (this.#over) return
    this.#drop()
    if (this.state !== 'waiting') this.#tell('waiting')
    this.#timer = setTimeout(() => this.#again(), this.#retryMs)
    this.#retryMs = Math.min(LAST_RETRY_MS, this.#retryMs * 2)
  }

  async #again() {
    clearTimeout(this.#timer)
    this.#trying = true
    try {
      if (this.#dismissed && (await wasStopped(this.#name))) return this.#end()
      this.#dismissed = false
      if (!this.#over) await this.#connect()
    } catch (error) {
      if (error instanceof ApiError && !PASSING.includes(error.status)) return this.#end(error)
      // A server that does not answer is one that starts anew: what it says then is no goodbye.
      if (error instanceof Unreachable) this.#dismissed = false
      this.#lost()
    } finally {
      this.#trying = false
    }
  }

  #drop() {
    clearTimeout(this.#timer)
    const peer = this.#peer
    this.#peer = undefined
    peer?.close()
    endSession(this.#session)
    this.#session = undefined
  }

  #end(error) {
    if (this.#over) return
    this.#over = true
    removeEventListener('pagehide', this.#leave)
    for (const track of this.media.getTracks()) track.stop()
    this.#drop()
    this.dispatchEvent(new CustomEvent('ended', { detail: { error } }))
  }

  #leave = () => endSession(this.#session)

  #tell(state) {
    this.state = state
    this.dispatchEvent(new CustomEvent('state', { detail: { state } }))
  }
}

/** Somebody stopped the stream: it is gone, and not because its server goes. */
async function wasStopped(name) {
  try {
    await api.status(name)
    return false
  } catch (error) {
    if (!(error instanceof ApiError && error.status === 404)) throw error
    return !(await api.isDraining())
  }
}

/** A model and its viewers are better off with fewer frames than with ones whose size changes again and again. */
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
