/** RTP time stamps of video: 32 bits at 90 kHz. */
const TICKS = 90_000
const TURN = 2 ** 32
const MAX_KEPT = 600

/** Distance from `b` to `a` across the wraparound; negative if `a` is earlier. */
const after = (a, b) => ((a - b + TURN + TURN / 2) % TURN) - TURN / 2

/** Messages of recent and coming frames by RTP time stamp. */
export class DataTimeline {
  /** By time stamp; a frame may have several messages. */
  #messages = []

  push({ rtpTimestamp, data }) {
    // In order, except for pipelines that send data of a frame late.
    let place = this.#messages.length
    while (place > 0 && after(this.#messages[place - 1].stamp, rtpTimestamp) > 0) place--
    this.#messages.splice(place, 0, { stamp: rtpTimestamp, data })
    if (this.#messages.length > MAX_KEPT) this.#messages.shift()
  }

  /** The data of a frame that passes `says`, or else of the last earlier frame with such data, at most `holdMs` ago. */
  at(stamp, holdMs, says = () => true) {
    const past = this.#messages.filter((one) => after(stamp, one.stamp) >= 0 && says(one.data))
    const newest = past.at(-1)
    if (!newest || after(stamp, newest.stamp) > (holdMs * TICKS) / 1000) return []
    return past.filter((one) => one.stamp === newest.stamp).map(({ data }) => data)
  }

  /** Time stamp of the newest message, for browsers that do not report the time stamp of the frame on the screen. */
  get newest() {
    return this.#messages.at(-1)?.stamp
  }

  /** Forgets what is too old for this frame and later ones. */
  forget(stamp, holdMs) {
    const old = this.#messages.findIndex((one) => after(stamp, one.stamp) <= (holdMs * TICKS) / 1000)
    this.#messages.splice(0, old < 0 ? this.#messages.length : old)
  }

  clear() {
    this.#messages = []
  }
}
