import { h, setText } from '../dom.js'
import { icon } from '../icons.js'
import { paint } from './painter.js'
import { hasShapes, hasText, readShapes } from './shapes.js'
import { DataTimeline } from './timeline.js'

const KEY = 'millrace-boxes'
/** How long the data of a frame also applies to following frames without data. */
const HOLD_MS = 1000
/** Text stays longer, to be read. */
const HOLD_TEXT_MS = 5000

/**
 * Draws a pipeline's messages with the video: boxes, polygons and labels over the frame that they belong to, and text
 * below it.
 */
export class DataOverlay {
  /** Lies over the video. */
  canvas = h('canvas', { class: 'data-shapes', 'aria-hidden': 'true', dataset: { role: 'shapes' } })
  /** Lies under the video. */
  text = h('p', { class: 'data-text', hidden: true, dataset: { role: 'data-text' } })
  /** Toggles the shapes, and is remembered; visible once there are some. */
  toggle = h(
    'button',
    { type: 'button', class: 'stage-tool', hidden: true, onclick: () => this.#turn() },
    icon('boxes'),
  )
  #video
  #timeline = new DataTimeline()
  #shown = localStorage.getItem(KEY) !== 'hidden'
  /** Time stamp of the frame on the screen. */
  #stamp
  #request
  #painted = false

  constructor(video) {
    this.#video = video
    this.#label()
  }

  /** Takes a message of the player. */
  push(message) {
    if (!Number.isFinite(message.rtpTimestamp)) return
    this.#timeline.push(message)
    if (!this.#tellsFrames) this.#show(this.#timeline.newest)
    // The message came after its frame was shown.
    else if (message.rtpTimestamp === this.#stamp) this.#show(this.#stamp)
    this.#follow()
  }

  /** The video has ended. */
  clear() {
    this.#video.cancelVideoFrameCallback?.(this.#request)
    this.#request = undefined
    this.#stamp = undefined
    this.#timeline.clear()
    this.text.hidden = this.toggle.hidden = true
    this.#paint([])
  }

  get #tellsFrames() {
    return 'requestVideoFrameCallback' in HTMLVideoElement.prototype
  }

  /** Runs frame by frame while there is something to show. */
  #follow() {
    if (this.#request !== undefined || !this.#tellsFrames) return
    this.#request = this.#video.requestVideoFrameCallback((_, { rtpTimestamp }) => {
      this.#request = undefined
      // Not every browser reports it.
      this.#stamp = rtpTimestamp ?? this.#timeline.newest
      if (this.#stamp === undefined) return
      this.#show(this.#stamp)
      this.#timeline.forget(this.#stamp, HOLD_TEXT_MS)
      if (this.#timeline.newest !== undefined || this.#painted) this.#follow()
    })
  }

  #show(stamp) {
    const size = { width: this.#video.videoWidth, height: this.#video.videoHeight }
    const all = this.#timeline.at(stamp, HOLD_MS, hasShapes).map((data) => readShapes(data, size))
    const frames = all.filter(({ shapes }) => shapes.length > 0)
    if (frames.length > 0) this.toggle.hidden = false
    this.#paint(this.#shown ? frames : [])
    const words = this.#timeline.at(stamp, HOLD_TEXT_MS, hasText).map((data) => readShapes(data, size).text)
    const text = words.filter(Boolean).join('\n')
    if (text) this.text.hidden = false
    setText(this.text, text)
  }

  #paint(frames) {
    const some = frames.length > 0
    if (some || this.#painted) paint(this.canvas, frames)
    this.#painted = some
  }

  #turn() {
    this.#shown = !this.#shown
    localStorage.setItem(KEY, this.#shown ? 'shown' : 'hidden')
    this.#label()
    if (this.#stamp !== undefined) this.#show(this.#stamp)
  }

  #label() {
    const words = this.#shown ? 'Hide what the pipeline found' : 'Show what the pipeline found'
    this.toggle.setAttribute('aria-label', words)
    this.toggle.title = words
    this.toggle.setAttribute('aria-pressed', String(this.#shown))
  }
}
