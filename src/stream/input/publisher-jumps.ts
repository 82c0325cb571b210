import { msToTicks, nowMs, TICKS_PER_SECOND } from '../../core/clock.ts'
import type { Track } from '../../core/media/packet.ts'

/** In decoding order time does not go back; audio, and RTP without that order, may go back by this much. */
const BACK = 0.2 * TICKS_PER_SECOND
const BACK_UNORDERED = 0.5 * TICKS_PER_SECOND
/** A step that is this much longer than the time it took is a jump and not a gap, unless the other track fills it. */
const AHEAD = 1.5 * TICKS_PER_SECOND
/** Required ratio to the previous step; a slow file sent at full speed has only long steps. */
const USUAL_STEPS = 2.5
/** Audio and video of one moment may be sent this far apart. */
const INTERLEAVING = TICKS_PER_SECOND
const NOISE = 0.1 * TICKS_PER_SECOND

type Followed = {
  offset: number
  /** Number of jumps so far; each track passes a jump at its own time. */
  epoch: number
  /** The newest packet: its time stamp, and when it was read. */
  time: number
  at: number
  /** Step from the previous packet to it. */
  step: number
}

/**
 * Offset of the packet to the stream's clock; `jumped` is set to the size of the jump, in ticks, if the publisher's
 * clock jumped.
 */
export type Placement = { offset: number; jumped?: number }

/**
 * Detects jumps of a publisher's clock and places later packets where the last one leads, so that a jump costs nothing.
 * A track keeps its offset until it passes the jump itself, then shares that of the track that passed it first. If a
 * track's clock never jumps it keeps its offset, so both tracks stay together by sending time.
 */
export class PublisherJumps {
  readonly #followed = new Map<Track['kind'], Followed>()
  readonly #join: (first: number) => number

  /** `join` returns the offset of a publisher that begins with this time. */
  constructor(join: (first: number) => number) {
    this.#join = join
  }

  /** `time` is in decoding order if `ordered`. Call when the packet is read, before pacing. */
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
    // A gap in one track while the other continues.
    const filled = other && other.epoch === own.epoch && other.time + msToTicks(now - other.at) >= time - INTERLEAVING
    if (!back && !(ahead && !filled)) return own
    const usual = own.step < AHEAD ? own.step : 0
    const offset = own.time + own.offset + Math.max(1, usual, elapsed) - time
    return { offset, epoch: Math.max(own.epoch, other?.epoch ?? 0) + 1 }
  }
}
