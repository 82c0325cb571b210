import { nowMs, TICKS_PER_SECOND, ticksToMs } from '../../core/clock.ts'
import { sleep } from '../../core/resource.ts'

/**
 * Packets up to this far ahead of their time pass at once: decoder and pipeline can take such a burst, and delay stays
 * low.
 */
const AHEAD_MS = 250
/**
 * A lead that lasts this long means that the publisher's clock is faster than ours, or that waiting is no longer
 * needed.
 */
const WINDOW_MS = 10_000
/**
 * A publisher that was held for this long without a break may have been late at first and be on time now: it is let in
 * earlier. If it is held again, it sends faster than real time, in segments or all at once: the time doubles each time,
 * up to the window.
 */
const PATIENCE_MS = 1000
/** After this long without a wait the patience is reset. */
const FORGIVEN_AFTER_MS = 60_000
/**
 * A publisher that is repeatedly late by more than a burst gets a little more delay, one step per second. Adding the
 * whole delay for a machine that is busy for a moment would delay everything after it.
 */
const STEP_MS = 250
const STEP_EVERY_MS = 1000
/** In ticks between two packets; more is a clock jump. */
const JUMP_BACK = 2 * TICKS_PER_SECOND
const JUMP_AHEAD = 10 * TICKS_PER_SECOND

/**
 * Holds packets to real time when a publisher sends faster than that, as with whole trickle segments or a file at full
 * speed. It is held by not being read. A publisher in real time is never held, and packets that come late after a stall
 * pass at once, so delay does not grow.
 */
export class Pace {
  /** Offset between the publisher's clock and ours in milliseconds: packets are due at their time plus this. */
  #offsetMs = 0
  #last: number | undefined
  #leastAheadMs = Number.POSITIVE_INFINITY
  #windowStart = 0
  #patienceMs = PATIENCE_MS
  #heldSince: number | undefined
  #lastHeld = Number.NEGATIVE_INFINITY
  #steppedAt = Number.NEGATIVE_INFINITY
  readonly #heldUpMs: number

  /** `heldUpMs`: how long the publisher's data waited unread before the first packet. */
  constructor(heldUpMs = 0) {
    this.#heldUpMs = heldUpMs
  }

  /** How long a packet with this time stamp that is read now has to wait, in milliseconds. */
  waitMs(pts: number, now = nowMs()): number {
    const first = this.#last === undefined
    const step = pts - (this.#last ?? pts)
    this.#last = pts
    const offset = now - ticksToMs(pts)
    if (first || step < -JUMP_BACK || step > JUMP_AHEAD) {
      this.#offsetMs = first ? offset - this.#heldUpMs : offset
      // Data that waited unread is not late.
      if (first) this.#steppedAt = now
      this.#heldSince = undefined
      this.#openWindow(now)
      return 0
    }
    const ahead = this.#offsetMs - offset
    this.#leastAheadMs = Math.min(this.#leastAheadMs, ahead)
    // A publisher that was let in earlier and is late since is known to send in bursts.
    const tolerance = this.#patienceMs > PATIENCE_MS ? 0 : AHEAD_MS
    if (ahead < -tolerance && now - this.#steppedAt >= STEP_EVERY_MS) {
      this.#offsetMs += Math.min(STEP_MS, -ahead)
      this.#steppedAt = now
    }
    this.#hold(ahead, now)
    if (now - this.#windowStart > WINDOW_MS) {
      this.#offsetMs -= Math.max(0, this.#leastAheadMs)
      this.#openWindow(now)
    }
    return Math.max(0, ahead - AHEAD_MS)
  }

  async turn(pts: number, signal: AbortSignal): Promise<void> {
    const ms = this.waitMs(pts)
    // Shorter waits are below timer resolution.
    if (ms >= 2) await sleep(ms, signal).catch(() => {})
  }

  /** Handles a wait that nothing interrupts. */
  #hold(ahead: number, now: number): void {
    if (ahead <= AHEAD_MS) {
      this.#heldSince = undefined
      if (now - this.#lastHeld > FORGIVEN_AFTER_MS) this.#patienceMs = PATIENCE_MS
      return
    }
    this.#lastHeld = now
    this.#heldSince ??= now
    if (now - this.#heldSince < this.#patienceMs) return
    this.#offsetMs -= AHEAD_MS
    this.#heldSince = now
    this.#patienceMs = Math.min(WINDOW_MS, 2 * this.#patienceMs)
    this.#openWindow(now)
  }

  #openWindow(now: number): void {
    this.#leastAheadMs = Number.POSITIVE_INFINITY
    this.#windowStart = now
  }
}
