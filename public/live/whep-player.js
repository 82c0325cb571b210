import { ApiError, api } from '../api.js'
import { endSession, exchangeSdp } from './sdp-exchange.js'

const FIRST_RETRY_MS = 500
const LAST_RETRY_MS = 8000
const NO_WAY =
  'no connection to the server’s UDP ports: a firewall may be in between, or the server’s PUBLIC_IP is not set'
/** ICE says `disconnected` for short gaps that heal by themselves. */
const HEAL_MS = 3000

/**
 * Plays a stream's output, or its input without audio, into a `<video>` over WHEP for as long as it is open: muted, with the least buffering, and
 * connecting again with growing pauses whenever the connection is lost. Tells `state` events: connecting, playing,
 * waiting (with `detail.error`), closed.
 */
export class WhepPlayer extends EventTarget {
  #name
  #video
  #view
  #peer
  #session
  #retryMs = FIRST_RETRY_MS
  #timer
  #open = true
  #counted
  #connected = false

  constructor(name, video, { view = 'output' } = {}) {
    super()
    this.#name = name
    this.#video = video
    this.#view = view
    addEventListener('pagehide', this.#leave)
    this.#connect()
  }

  close() {
    if (!this.#open) return
    this.#open = false
    removeEventListener('pagehide', this.#leave)
    this.#drop()
    this.#video.srcObject = null
    this.#tell('closed')
  }

  /** Connects now instead of after the pause. */
  retry() {
    if (!this.#open) return
    this.#retryMs = FIRST_RETRY_MS
    this.#drop()
    this.#connect()
  }

  /** What the browser measures: `{ fps, bufferMs, roundTripMs, lost, width, height }`, or undefined without frame. */
  async measure() {
    const report = await this.#peer?.getStats()
    if (!report) return undefined
    const all = [...report.values()]
    const video = all.find((stat) => stat.type === 'inbound-rtp' && stat.kind === 'video')
    if (!video?.framesDecoded) return undefined
    const pair = all.find((stat) => stat.type === 'candidate-pair' && stat.nominated && stat.state === 'succeeded')
    const before = this.#counted ?? { timestamp: 0, framesDecoded: 0, delay: 0, emitted: 0 }
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
      roundTripMs: (pair?.currentRoundTripTime ?? 0) * 1000,
      lost: video.packetsLost ?? 0,
      width: video.frameWidth ?? 0,
      height: video.frameHeight ?? 0,
    }
  }

  async #connect() {
    this.#tell('connecting')
    this.#connected = false
    const peer = new RTCPeerConnection()
    this.#peer = peer
    const stream = new MediaStream()
    for (const kind of this.#view === 'input' ? ['video'] : ['video', 'audio']) {
      const { receiver } = peer.addTransceiver(kind, { direction: 'recvonly' })
      if ('jitterBufferTarget' in receiver) receiver.jitterBufferTarget = 0
    }
    peer.addEventListener('track', ({ track }) => {
      stream.addTrack(track)
      this.#video.srcObject = stream
      this.#video.play().catch(() => {})
    })
    peer.addEventListener('connectionstatechange', () => this.#follow(peer))
    try {
      const session = await exchangeSdp(peer, api.whepPath(this.#name, this.#view), { quiet: true })
      if (this.#peer === peer) this.#session = session
      else endSession(session)
    } catch (error) {
      if (this.#peer === peer) this.#again(error)
    }
  }

  #follow(peer) {
    if (this.#peer !== peer) return
    clearTimeout(this.#timer)
    if (peer.connectionState === 'connected') {
      this.#retryMs = FIRST_RETRY_MS
      this.#connected = true
      this.#tell('playing')
    } else if (peer.connectionState === 'disconnected') {
      this.#timer = setTimeout(() => this.#again(), HEAL_MS)
    } else if (peer.connectionState === 'failed') this.#again(this.#connected ? undefined : new Error(NO_WAY))
  }

  #again(error) {
    if (!this.#open) return
    this.#drop()
    this.#tell('waiting', error)
    const asked = error instanceof ApiError && error.retryAfterSeconds ? error.retryAfterSeconds * 1000 : 0
    this.#timer = setTimeout(() => this.#connect(), Math.max(asked, this.#retryMs))
    this.#retryMs = Math.min(LAST_RETRY_MS, this.#retryMs * 2)
  }

  #drop() {
    clearTimeout(this.#timer)
    const peer = this.#peer
    this.#peer = undefined
    this.#counted = undefined
    peer?.close()
    endSession(this.#session)
    this.#session = undefined
  }

  #leave = () => endSession(this.#session)

  #tell(state, error) {
    this.dispatchEvent(new CustomEvent('state', { detail: { state, error } }))
  }
}
