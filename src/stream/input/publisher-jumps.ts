import { msToTicks, nowMs, TICKS_PER_SECOND } from '../../core/clock.ts'
import type { Track } from '../../core/media/packet.ts'

/** A time stamp this far from where the last one leads is a new beginning, not a gap. */
const JUMP_BACK = 2 * TICKS_PER_SECOND
const JUMP_AHEAD = 10 * TICKS_PER_SECOND

type Newest = { pts: number; at: number }

/**
 * Finds where the clock of a publisher begins anew. Frame and audio are each followed by themselves: they may be
 * seconds apart, when one of them queues on the publisher's side, and that is no jump of either.
 */
export class PublisherJumps {
  readonly #newest = new Map<Track['kind'], Newest>()

  /** How far the clock jumped with this packet, in ticks; 0 with the first of all; undefined when it went on. */
  at(kind: Track['kind'], pts: number, now = nowMs()): number | undefined {
    const own = this.#newest.get(kind)
    if (own && goesOn(own, pts, now)) {
      if (pts > own.pts) this.#newest.set(kind, { pts, at: now })
      return
    }
    const others = [...this.#newest].filter(([other]) => other !== kind).map(([, newest]) => newest)
    this.#newest.set(kind, { pts, at: now })
    if (!own) return others.length > 0 ? undefined : 0
    // The other one was first over the same jump, and this one goes with it.
    return others.some((newest) => goesOn(newest, pts, now)) ? undefined : pts - own.pts
  }
}

function goesOn(newest: Newest, pts: number, now: number): boolean {
  return pts >= newest.pts - JUMP_BACK && pts <= newest.pts + msToTicks(now - newest.at) + JUMP_AHEAD
}
