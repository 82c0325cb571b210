import { msToTicks, nowMs, TICKS_PER_SECOND } from '../../core/clock.ts'
import type { Track } from '../../core/media/packet.ts'

/** In decoding order time does not go back; audio and RTP, which has no such order, may by a little. */
const BACK = 0.2 * TICKS_PER_SECOND
const BACK_UNORDERED = 0.5 * TICKS_PER_SECOND
/** A step ahead that is so much longer than the time it took is a jump and no gap, unless the other track fills it. */
const AHEAD = 1.5 * TICKS_PER_SECOND
/** So much longer than the step before; a slow file that is sent at full speed has long ones only. */
const USUAL_STEPS = 2.5
/** Audio and video of one instant may be so far apart in the order of sending. */
const INTERLEAVING = TICKS_PER_SECOND
const NOISE = 0.1 * TICKS_PER_SECOND

type Followed = {
  offset: number
  /** Counts the jumps of the publisher; the tracks go over each at their own time. */
  epoch: number
  /** Of the newest packet: as sent, and when it was read. */
  time: number
  at: number
  /** To it from the one before. */
  step: number
}

/** How the packet is placed on the stream's clock; `jumped` by so many ticks, when the publisher's clock did. */
export type Placement = { offset: number; jumped?: number }

/**
 * Finds where the clock of a publisher begins anew, and places what follows where its last packet leads: a jump costs
 * nothing. Each track keeps its place until it goes over the jump itself, and then shares that of the track that was
 * first. One whose clock never jumps stays where it is, so the two remain together by when they are sent.
 */
export class PublisherJumps {
  readonly #followed = new Map<Track['kind'], Followed>()
  readonly #join: (first: number) => number

  /** `join` tells the offset of a publisher that begins with this time. */
  constructor(join: (first: number) => number) {
    this.#join = join
  }

  /** `time` is in decoding order when `ordered`. To be asked when the packet is read, before it is held back. */
  place(kind: Track['kind'], time: number, ordered: boolean, now = nowMs()): Placement {
    const own = this.#followed.get(kind)
    const other = [...this.#followed].find(([name]) => name !== kind)?.[1]
    if (!own) {
      const { offset, epoch } = other ?? { offset: this.#join(time), epoch: 0 }
      this.#followed.set(kind, { offset, epoch, time, at: now, step: 0 })
      return { offset }
    }
    const step = time - own.time
    const { offset, epoch } = this.#follow(own, other, time, ordered, now)
    const jumped = offset !== own.offset
    if (!jumped && step <= 0) return { offset }
    this.#followed.set(kind, { offset, epoch, time, at: now, step: jumped && step < 0 ? own.step : step })
    return jumped ? { offset, jumped: step } : { offset }
  }

  #follow(own: Followed, other: Followed | undefined, time: number, ordered: boolean, now: number) {
    const step = time - own.time
    const elapsed = msToTicks(now - own.at)
    if (other && other.epoch > own.epoch) {
      const wrong = ({ offset }: Followed) => {
        const placed = time + offset - own.time - own.offset
        return Math.min(Math.abs(placed - own.step), Math.abs(placed - elapsed))
      }
      if (wrong(own) > NOISE && wrong(other) < wrong(own)) return other
    }
    const back = step < -(ordered ? BACK : BACK_UNORDERED)
    const ahead = step - elapsed > AHEAD && step > USUAL_STEPS * own.step
    // A gap in one track while the other goes on.
    const filled = other && other.epoch === own.epoch && other.time + msToTicks(now - other.at) >= time - INTERLEAVING
    if (!back && !(ahead && !filled)) return own
    const usual = own.step < AHEAD ? own.step : 0
    const offset = own.time + own.offset + Math.max(1, usual, elapsed) - time
    return { offset, epoch: Math.max(own.epoch, other?.epoch ?? 0) + 1 }
  }
}
