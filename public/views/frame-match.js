import { h } from '../dom.js'

/** How much input is kept, in 90 kHz ticks and in frames. */
const KEPT_TICKS = 5 * 90_000
const KEPT_FRAMES = 200
/** Farther back, a frame is no match. */
const NEAR_TICKS = 90_000

/**
 * Shows, over the input video, the input frame whose output is on the screen: the output is later by the pipeline's
 * delay, and both have the same RTP time stamp. Without a match, or in a browser that reports no time stamps
 * (`requestVideoFrameCallback`), the live input below shows through.
 */
export class FrameMatch {
  canvas = h('canvas', { class: 'matched', 'aria-hidden': 'true', hidden: true, dataset: { role: 'matched-input' } })
  #input
  #output
  #on = false
  /** `{ stamp, bitmap }`, oldest first. */
  #kept = []
  /** Time stamp of the output on the screen. */
  #shown
  #requests = new Map()

  constructor(input, output) {
    this.#input = input
    this.#output = output
  }

  set on(on) {
    if (this.#on === on || !('requestVideoFrameCallback' in HTMLVideoElement.prototype)) return
    this.#on = on
    if (on) {
      this.#follow(this.#input, (stamp) => this.#keep(stamp))
      this.#follow(this.#output, (stamp) => this.#show(stamp))
      return
    }
    for (const [video, request] of this.#requests) video.cancelVideoFrameCallback(request)
    this.#requests.clear()
    this.#forget(this.#kept.length)
    this.#shown = undefined
    this.canvas.hidden = true
  }

  #follow(video, onFrame) {
    const next = () => {
      this.#requests.set(
        video,
        video.requestVideoFrameCallback((_, { rtpTimestamp }) => {
          next()
          if (rtpTimestamp !== undefined) onFrame(rtpTimestamp)
        }),
      )
    }
    next()
  }

  async #keep(stamp) {
    const bitmap = await createImageBitmap(this.#input).catch(() => undefined)
    if (!bitmap || !this.#on) return bitmap?.close()
    // After a new connection the clock is another one.
    const last = this.#kept.at(-1)
    if (last && Math.abs(ticks(last.stamp, stamp)) > KEPT_TICKS) this.#forget(this.#kept.length)
    this.#kept.push({ stamp, bitmap })
    const old = this.#kept.findIndex((one) => ticks(one.stamp, stamp) <= KEPT_TICKS)
    this.#forget(Math.max(old, this.#kept.length - KEPT_FRAMES))
    if (this.#shown !== undefined) this.#draw()
  }

  #show(stamp) {
    this.#shown = stamp
    this.#draw()
  }

  #draw() {
    const at = this.#kept.findLastIndex(({ stamp }) => ticks(stamp, this.#shown) >= 0)
    const found = this.#kept[at]
    const behind = found ? ticks(found.stamp, this.#shown) : Number.POSITIVE_INFINITY
    this.canvas.hidden = behind > NEAR_TICKS
    this.canvas.dataset.match = behind === 0 ? 'same' : 'near'
    if (this.canvas.hidden) return
    // The output never goes back.
    this.#forget(at)
    const { width, height } = found.bitmap
    if (this.canvas.width !== width) this.canvas.width = width
    if (this.canvas.height !== height) this.canvas.height = height
    this.canvas.getContext('2d').drawImage(found.bitmap, 0, 0)
  }

  /** Forgets the oldest `count` frames. */
  #forget(count) {
    for (const { bitmap } of this.#kept.splice(0, count)) bitmap.close()
  }
}

/** Distance between two 32-bit time stamps. */
const ticks = (from, to) => (to - from) | 0
