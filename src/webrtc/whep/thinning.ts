// Frame dropping for a viewer whose network carries less than the stream: frames are left out whole, up to the next
// keyframe that fits.

/** Short congestion is repaired by retransmission, and the encoder follows its audience within this time. */
const PATIENCE_MS = 5000
/** In seconds of the network's capacity: a keyframe and the frames after it must fit. */
const MAX_DEBT_SECONDS = 1
/** Share of the stream's rate that is always sent: loss that no rate repairs looks like congestion. */
const LEAST_SHARE = 0.15
/** Between keyframes requested for such a viewer, because each costs all others quality. */
const KEYFRAME_EVERY_MS = 2000

export type Offered = {
  bytes: number
  key: boolean
  /** Rate of the stream, in kbit/s. */
  streamKbps: number
  /** Capacity of the viewer's network; undefined while nothing limits it. */
  availableKbps: number | undefined
}

/**
 * Leaves out frames for a viewer that cannot keep up, so that what arrives is intact and nobody else loses quality.
 * After a dropped frame, none is sent until a keyframe. Depends only on its inputs and the time given.
 */
export class Thinning {
  /** Number of dropped frames. */
  dropped = 0
  #overSince: number | undefined
  #debtBytes = 0
  #at = 0
  #waitingForKey = false
  #askedAt = Number.NEGATIVE_INFINITY

  /** True if the frame should be sent. */
  take({ bytes, key, streamKbps, availableKbps }: Offered, now: number): boolean {
    const isOver = availableKbps !== undefined && availableKbps < streamKbps
    this.#overSince = isOver ? (this.#overSince ?? now) : undefined
    if (isOver && now - this.#overSince! >= PATIENCE_MS) {
      const bytesPerSecond = (Math.max(availableKbps, LEAST_SHARE * streamKbps) * 1000) / 8
      this.#debtBytes = Math.max(0, this.#debtBytes - ((now - this.#at) / 1000) * bytesPerSecond)
      if (this.#debtBytes > MAX_DEBT_SECONDS * bytesPerSecond) this.#waitingForKey = true
      if (key && this.#debtBytes === 0) this.#waitingForKey = false
    } else {
      this.#debtBytes = 0
      if (key) this.#waitingForKey = false
    }
    this.#at = now
    if (this.#waitingForKey) this.dropped++
    else this.#debtBytes += bytes
    return !this.#waitingForKey
  }

  /** True if a keyframe should be requested: the viewer waits only for that. */
  wantsKeyframe(now: number): boolean {
    if (!this.#waitingForKey || this.#debtBytes > 0 || now - this.#askedAt < KEYFRAME_EVERY_MS) return false
    this.#askedAt = now
    return true
  }
}
