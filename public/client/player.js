/** @import { Stream } from './stream.js' */
/** @import { Requests } from './requests.js' */
/** @import { PlayerEvents, PlayerState, PlayerStats, PlayOptions } from './types.js' */
import { connected, videoStats, whenLost } from './connection.js'
import { Emitter } from './emitter.js'
import { Pauses } from './pauses.js'
import { ApiError, UnreachableError } from './requests.js'
import { endSession, exchangeSdp } from './sdp-exchange.js'

const FIRST_RETRY_MS = 500
const LAST_RETRY_MS = 8000

/**
 * Plays a stream into a `<video>` over WHEP with the least buffering, until it is closed. It reconnects with growing
 * pauses after a lost connection, and waits if the stream has no publisher yet. Made by `stream.play()`.
 * @extends {Emitter<PlayerEvents>}
 */
export class Player extends Emitter {
  /** @type {PlayerState} */
  #state = 'connecting'
  #stream
  #requests
  #path
  #video
  #audible
  #takesData
  /** @type {RTCPeerConnection | undefined} */
  #peer
  /** @type {string | undefined} */
  #session
  #pauses = new Pauses(FIRST_RETRY_MS, LAST_RETRY_MS)
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer
  /** The server closed the session, as it does when somebody stops the stream. */
  #dismissed = false
  /** Counters at the last call of `stats()`, or at the start of the connection. */
  #counted = { timestamp: 0, framesDecoded: 0, delay: 0, emitted: 0 }

  /**
   * @param {Stream} stream
   * @param {Requests} requests
   * @param {HTMLVideoElement} video
   * @param {PlayOptions} options
   */
  constructor(stream, requests, video, { view = 'output', data = false }) {
    super()
    this.#stream = stream
    this.#requests = requests
    this.#path = `whep/${encodeURIComponent(stream.name)}${view === 'input' ? '?view=input' : ''}`
    this.#audible = view === 'output'
    this.#takesData = data
    this.#video = video
    addEventListener('pagehide', this.#leave)
    void this.#connect()
  }

  /** `waiting` means between two attempts. */
  get state() {
    return this.#state
  }

  /** Stops playing and clears the element. */
  close() {
    if (this.#state === 'closed') return
    removeEventListener('pagehide', this.#leave)
    this.#drop()
    this.#video.srcObject = null
    this.#tell('closed')
  }

  /** Reconnects now instead of after the pause. */
  retry() {
    if (this.#state === 'closed') return
    this.#pauses.reset()
    this.#dismissed = false
    this.#drop()
    void this.#connect()
  }

  /**
   * Browser measurements since the previous call or the start of the connection; undefined before the first frame.
   * @returns {Promise<PlayerStats | undefined>}
   */
  async stats() {
    const stats = await videoStats(this.#peer, 'inbound-rtp')
    if (!stats?.video.framesDecoded) return undefined
    const { video, roundTripMs } = stats
    const before = this.#counted
    const now = {
      timestamp: video.timestamp,
      framesDecoded: video.framesDecoded,
      delay: video.jitterBufferDelay ?? 0,
      emitted: video.jitterBufferEmittedCount ?? 0,
    }
    this.#counted = now
    const emitted = now.emitted - before.emitted
    return {
      fps: ((now.framesDecoded - before.framesDecoded) * 1000) / Math.max(1, now.timestamp - before.timestamp),
      bufferMs: emitted > 0 ? ((now.delay - before.delay) * 1000) / emitted : 0,
      roundTripMs,
      lost: video.packetsLost ?? 0,
      width: video.frameWidth ?? 0,
      height: video.frameHeight ?? 0,
    }
  }

  async #connect() {
    this.#tell('connecting')
    const peer = new RTCPeerConnection()
    this.#peer = peer
    this.#counted = { timestamp: Date.now(), framesDecoded: 0, delay: 0, emitted: 0 }
    const media = new MediaStream()
    for (const kind of this.#audible ? ['video', 'audio'] : ['video']) {
      const { receiver } = peer.addTransceiver(kind, { direction: 'recvonly' })
      if ('jitterBufferTarget' in receiver) receiver.jitterBufferTarget = 0
    }
    peer.addEventListener('track', ({ track }) => {
      media.addTrack(track)
      this.#video.srcObject = media
      this.#video.play().catch(() => {})
    })
    if (this.#takesData) {
      peer.createDataChannel('data').addEventListener('message', ({ data }) => {
        if (this.#peer === peer) this.emit('data', JSON.parse(data))
      })
    }
    try {
      const session = await exchangeSdp(peer, this.#requests, this.#path, { background: true })
      if (this.#peer !== peer) return endSession(this.#requests, session)
      this.#session = session
      await connected(peer)
      if (this.#peer !== peer) return
      this.#pauses.reset()
      this.#tell('playing')
      whenLost(peer, (dismissed) => {
        this.#dismissed = dismissed
        this.#lost()
      })
    } catch (error) {
      if (this.#peer === peer) this.#lost(/** @type {Error} */ (error))
    }
  }

  /** @param {Error} [error] */
  #lost(error) {
    if (this.#state === 'closed') return
    this.#drop()
    this.#tell('waiting', error)
    const asked = error instanceof ApiError && error.retryAfterSeconds ? error.retryAfterSeconds * 1000 : 0
    this.#timer = setTimeout(() => void this.#again(), Math.max(asked, this.#pauses.next()))
  }

  async #again() {
    if (this.#dismissed) {
      try {
        // Watching a stopped stream would reopen it without a publisher.
        await this.#stream.status()
      } catch (error) {
        // A server that does not answer is restarting; its goodbye did not end the stream.
        if (error instanceof UnreachableError) this.#dismissed = false
        if (!this.#peer) this.#lost(/** @type {Error} */ (error))
        return
      }
      this.#dismissed = false
    }
    if (this.#state !== 'closed' && !this.#peer) await this.#connect()
  }

  #drop() {
    clearTimeout(this.#timer)
    const peer = this.#peer
    this.#peer = undefined
    peer?.close()
    endSession(this.#requests, this.#session)
    this.#session = undefined
  }

  #leave = () => endSession(this.#requests, this.#session)

  /**
   * @param {PlayerState} state
   * @param {Error} [error]
   */
  #tell(state, error) {
    this.#state = state
    this.emit('state', { state, error })
  }
}
