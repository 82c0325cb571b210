/** @import { Stream } from './stream.js' */
/** @import { Requests } from './requests.js' */
/** @import { Params, PublisherEvents, PublisherState, PublisherStats, PublishOptions } from './types.js' */
import { connected, videoStats, whenLost } from './connection.js'
import { Emitter } from './emitter.js'
import { Pauses } from './pauses.js'
import { isPassing, UnreachableError } from './requests.js'
import { endSession, exchangeSdp } from './sdp-exchange.js'

const MAX_KBPS = 2500
const FIRST_RETRY_MS = 1000
const LAST_RETRY_MS = 4000

/**
 * Publishes media over WHIP until it is closed, its video track ends, or the stream is stopped. It reconnects with
 * growing pauses after a lost connection. Made by `stream.publish()`.
 * @extends {Emitter<PublisherEvents>}
 */
export class Publisher extends Emitter {
  /** The published media. @type {MediaStream} */
  media
  /**
   * Pipeline requested on reconnect: set it when the stream's pipeline was replaced in the meantime.
   * @type {string | undefined}
   */
  pipeline
  /**
   * Params sent on reconnect: set them with `pipeline`, whose params they are.
   * @type {Params | undefined}
   */
  params
  /** @type {PublisherState} */
  #state = 'starting'
  #stream
  #requests
  #maxKbps
  #stopTracks
  /** @type {RTCPeerConnection | undefined} */
  #peer
  /** @type {string | undefined} */
  #session
  #pauses = new Pauses(FIRST_RETRY_MS, LAST_RETRY_MS)
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer
  #trying = false
  /** The server closed the session, as it does when somebody stops the stream. */
  #dismissed = false
  /** Counters at the last call of `stats()`, or at the start of the connection. */
  #counted = { timestamp: 0, frames: 0, bytes: 0 }

  /**
   * @param {Stream} stream
   * @param {Requests} requests
   * @param {MediaStream} media
   * @param {PublishOptions} options
   */
  constructor(stream, requests, media, { pipeline, params, maxKbps = MAX_KBPS, stopTracks = true }) {
    super()
    this.#stream = stream
    this.#requests = requests
    this.media = media
    this.pipeline = pipeline
    this.params = params
    this.#maxKbps = maxKbps
    this.#stopTracks = stopTracks
  }

  /**
   * Resolves when media flows; if it fails, everything is closed.
   * @param {Stream} stream
   * @param {Requests} requests
   * @param {MediaStream} media
   * @param {PublishOptions} options
   */
  static async open(stream, requests, media, options) {
    const publisher = new Publisher(stream, requests, media, options)
    try {
      await publisher.#connect()
    } catch (error) {
      publisher.close()
      throw error
    }
    addEventListener('pagehide', publisher.#leave)
    // As with the browser's own “stop sharing” button.
    for (const track of media.getTracks()) track.addEventListener('ended', publisher.#look)
    publisher.#look()
    return publisher
  }

  /** `waiting` means that the connection is lost. */
  get state() {
    return this.#state
  }

  /** Reconnects now instead of after the pause. */
  retry() {
    if (this.#state !== 'waiting' || this.#trying) return
    this.#pauses.reset()
    void this.#again()
  }

  close() {
    this.#end()
  }

  /**
   * Browser measurements since the previous call or the start of the connection; undefined while nothing is sent.
   * @returns {Promise<PublisherStats | undefined>}
   */
  async stats() {
    const stats = await videoStats(this.#peer, 'outbound-rtp')
    if (!stats?.video.framesSent) return undefined
    const { video, roundTripMs } = stats
    const before = this.#counted
    const now = { timestamp: video.timestamp, frames: video.framesSent, bytes: video.bytesSent }
    this.#counted = now
    const seconds = Math.max(1, now.timestamp - before.timestamp) / 1000
    return {
      fps: (now.frames - before.frames) / seconds,
      kbps: ((now.bytes - before.bytes) * 8) / 1000 / seconds,
      roundTripMs,
      width: video.frameWidth ?? 0,
      height: video.frameHeight ?? 0,
    }
  }

  async #connect() {
    const peer = new RTCPeerConnection()
    this.#peer = peer
    this.#counted = { timestamp: Date.now(), frames: 0, bytes: 0 }
    for (const track of this.media.getTracks()) {
      if (track.kind === 'video') track.contentHint = 'motion'
      const sendEncodings = track.kind === 'video' ? [{ maxBitrate: this.#maxKbps * 1000 }] : undefined
      /** @type {RTCRtpTransceiverInit} */
      const init = { direction: 'sendonly', streams: [this.media], ...(sendEncodings && { sendEncodings }) }
      const transceiver = peer.addTransceiver(track, init)
      if (track.kind === 'video') preferH264(transceiver)
      if (track.kind === 'video') await keepSize(transceiver.sender)
    }
    const session = await exchangeSdp(peer, this.#requests, this.#path, { background: false })
    if (this.#peer !== peer) return endSession(this.#requests, session)
    this.#session = session
    await connected(peer)
    if (this.#peer !== peer) return
    this.#pauses.reset()
    this.#dismissed = false
    whenLost(peer, (dismissed) => {
      this.#dismissed = dismissed
      this.#lost()
    })
    this.#tell('publishing')
  }

  get #path() {
    const query = startQuery({ pipeline: this.pipeline, params: this.params })
    return `whip/${encodeURIComponent(this.#stream.name)}${query}`
  }

  #lost() {
    if (this.#state === 'closed') return
    this.#drop()
    if (this.#state !== 'waiting') this.#tell('waiting')
    this.#timer = setTimeout(() => void this.#again(), this.#pauses.next())
  }

  async #again() {
    clearTimeout(this.#timer)
    this.#trying = true
    try {
      if (this.#dismissed && (await this.#stream.isGone())) return this.#end()
      this.#dismissed = false
      if (this.#state === 'waiting') await this.#connect()
    } catch (thrown) {
      const error = /** @type {Error} */ (thrown)
      if (!isPassing(error)) return this.#end(error)
      // A server that does not answer is restarting; its goodbye did not end the stream.
      if (error instanceof UnreachableError) this.#dismissed = false
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
    endSession(this.#requests, this.#session)
    this.#session = undefined
  }

  /** @param {Error} [error] */
  #end(error) {
    if (this.#state === 'closed') return
    removeEventListener('pagehide', this.#leave)
    for (const track of this.media.getTracks()) {
      track.removeEventListener('ended', this.#look)
      if (this.#stopTracks) track.stop()
    }
    this.#drop()
    this.#tell('closed')
    this.emit('ended', { error })
  }

  #look = () => {
    const video = this.media.getVideoTracks()
    const tracks = video.length > 0 ? video : this.media.getTracks()
    if (tracks.every(({ readyState }) => readyState === 'ended')) this.#end()
  }

  #leave = () => endSession(this.#requests, this.#session)

  /** @param {PublisherState} state */
  #tell(state) {
    this.#state = state
    this.emit('state', { state })
  }
}

/**
 * The start options as the query of a route.
 * @param {{ pipeline?: string, params?: Params }} options
 */
export function startQuery({ pipeline, params }) {
  const query = new URLSearchParams()
  if (pipeline) query.set('pipeline', pipeline)
  if (params) query.set('params', JSON.stringify(params))
  return query.size > 0 ? `?${query}` : ''
}

/**
 * Makes the browser lower the frame rate before the resolution: a model and its viewers cope better with fewer frames
 * than with frames that keep changing size.
 * @param {RTCRtpSender} sender
 */
async function keepSize(sender) {
  const parameters = sender.getParameters()
  parameters.degradationPreference = 'maintain-resolution'
  await sender.setParameters(parameters).catch(() => {})
}

/** @param {RTCRtpTransceiver} transceiver */
function preferH264(transceiver) {
  const codecs = RTCRtpSender.getCapabilities('video')?.codecs ?? []
  const isH264 = (/** @type {RTCRtpCodec} */ codec) => codec.mimeType.toLowerCase() === 'video/h264'
  if (codecs.some(isH264)) {
    transceiver.setCodecPreferences?.([...codecs.filter(isH264), ...codecs.filter((codec) => !isH264(codec))])
  }
}
