import { nowMs, TICKS_PER_SECOND, ticksToMs } from '../../core/clock.ts'
import { sleep } from '../../core/resource.ts'

/** Packets this far ahead of their time pass at once: decoder and pipeline take such a burst, and delay stays low. */
const AHEAD_MS = 250
/** What stays ahead for this long is a clock that runs faster than ours, or a wait that is no longer needed. */
const WINDOW_MS = 10_000
/**
 * Who is held without a break for this long may have been late at first and in time now: it is let in earlier. One that is
 * held again sends faster than real time, in segments or all at once: each time it takes twice as long, up to the window.
 */
const PATIENCE_MS = 1000
/** Patience is short again after this long without a wait. */
const FORGIVEN_AFTER_MS = 60_000
/**
 * A publisher that is late again and again by more than a burst is waited for a little longer, a step each second. Waiting
 * for one whose machine is busy for a moment would only make all that follows late too.
 */
const STEP_MS = 250
const STEP_EVERY_MS = 1000
/** Between two packets, in ticks; more is a jump of the clock. */
const JUMP_BACK = 2 * TICKS_PER_SECOND
const JUMP_AHEAD = 10 * TICKS_PER_SECOND

/**
 * Lets packets through in real time when a publisher sends faster than that: whole trickle segments at once, or a file at
 * full speed. It is held back by not being read. One that sends in real time is never held, and what comes late, after a
 * stall, is let through at once: delay does not grow.
 */
export class Pace {
  /** Where the clock of the publisher stands against ours, in milliseconds: packets are due at their time plus this. */
  #offsetMs = 0
  #last: number | undefined
  #leastAheadMs = Number.POSITIVE_INFINITY
  #windowStart = 0
  #patienceMs = PATIENCE_MS
  #heldSince: number | undefined
  #lastHeld = Number.NEGATIVE_INFINITY
  #steppedAt = Number.NEGATIVE_INFINITY
  readonly #heldUpMs: number

  /** `heldUpMs` is for how long nobody read what the publisher sent before the first packet. */
  constructor(heldUpMs = 0) {
    this.#heldUpMs = heldUpMs
  }

  /** How long a packet of this time stamp has to wait that is read now, in milliseconds. */
  waitMs(pts: number, now = nowMs()): number {
    const first = this.#last === undefined
    const step = pts - (this.#last ?? pts)
    this.#last = pts
    const offset = now - ticksToMs(pts)
    if (first || step < -JUMP_BACK || step > JUMP_AHEAD) {
      this.#offsetMs = first ? offset - this.#heldUpMs : offset
      // What waited to be read is not late.
      if (first) this.#steppedAt = now
      this.#heldSince = undefined
      this.#openWindow(now)
      return 0
    }
    const ahead = this.#offsetMs - offset
    this.#leastAheadMs = Math.min(this.#leastAheadMs, ahead)
    // One that was let in earlier, and is late since, is known to send in bursts.
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
    // Shorter waits than a timer can keep are not worth one.
    if (ms >= 2) await sleep(ms, signal).catch(() => {})
  }

  /** Ends a wait that nothing interrupts. */
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
